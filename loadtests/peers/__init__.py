"""The proxies the sidecar is compared with, each configured to do the same and no more.

Every module starts one of them, in front of one upstream, with one worker thread, no access log and
connections to the upstream kept open.
"""
