"""No descriptors left: clients wait in the kernel's queue, and everything recovers by itself."""

from __future__ import annotations

from harness.messages import get
from harness.upstream import Upstream
from harness.waiting import wait_until
from harness.worker_process import WorkerProcess

from sidecar.board import CellCounter, WorkerGauge
from sidecar.config.settings import Breaker, ModelSettings
from sidecar.config.units import Duration

DESCRIPTORS = 20  # that the worker may open beyond what it has


def test_clients_that_no_descriptor_is_left_for_are_served_once_others_have_gone():
    with (
        Upstream() as model,
        WorkerProcess(models={"m": model.url}, descriptors=DESCRIPTORS) as worker,
    ):
        first = worker.connect()
        first.send(get())
        assert first.read_response().status == 200  # and a connection to the model stands
        crowd = [worker.connect() for _ in range(DESCRIPTORS + 10)]
        late = crowd[-1]
        late.send(get())
        # Who was accepted goes on being served meanwhile.
        for _ in range(5):
            first.send(get())
            assert first.read_response().status == 200
        assert worker.ask("gauge", WorkerGauge.ACCEPTED) < len(crowd)
        for one in crowd[:-1]:
            one.close()
        assert late.read_response().status == 200
        assert worker.ask("gauge", WorkerGauge.ACCEPTED) == len(crowd) + 1


def test_a_request_that_no_descriptor_is_left_for_fails_alone_and_the_next_ones_are_answered():
    patient = {"breaker": Breaker(failures=0)}
    with Upstream() as model:
        models = {"m": ModelSettings(url=model.url, **patient)}
        with WorkerProcess(models=models, descriptors=DESCRIPTORS) as worker:
            crowd = [worker.connect() for _ in range(DESCRIPTORS + 5)]
            wait_until(lambda: worker.descriptors_left() == 0, "no descriptor is left")
            crowd[0].send(get())
            assert crowd[0].read_response().status == 502  # no place for a connection to the model
            for one in crowd[1:]:
                one.close()
            crowd[0].send(get())
            assert crowd[0].read_response().status == 200
            assert worker.ask("counted", "m", CellCounter.STATUS_2XX) == 1


def test_a_breaker_opened_by_missing_descriptors_closes_again():
    with Upstream() as model:
        quick = Breaker(failures=2, open_for=Duration(0.2))
        models = {"m": ModelSettings(url=model.url, breaker=quick)}
        with WorkerProcess(models=models, descriptors=DESCRIPTORS) as worker:
            crowd = [worker.connect() for _ in range(DESCRIPTORS + 5)]
            wait_until(lambda: worker.descriptors_left() == 0, "no descriptor is left")
            statuses = set()
            for _ in range(4):
                crowd[0].send(get())
                statuses.add(crowd[0].read_response().status)
            assert statuses == {502, 503}
            for one in crowd[1:]:
                one.close()

            def answers() -> bool:
                crowd[0].send(get())
                return crowd[0].read_response().status == 200

            wait_until(answers, "the model is asked again")
