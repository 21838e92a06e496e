"""What tests of running parts share: a scripted model, a worker on its own loop, a raw client.

Everything here is blocking and works on real sockets with deadlines, so that a test reads from top
to bottom as a conversation. Bytes are recorded exactly; nothing here parses more than it must.
"""
