"""Every type of sink that a configuration may name has its class."""

import subprocess
import sys
import typing

from sidecar.config.sinks import SinkSettings
from sidecar.delivery.sinks.registry import SINKS


def test_every_type_of_the_configuration_is_in_the_list_and_no_other():
    types = {settings.__struct_config__.tag for settings in typing.get_args(SinkSettings)}
    assert set(SINKS) == types


def test_sinks_whose_libraries_are_optional_are_not_imported_with_the_others():
    program = (
        "import sys, sidecar.delivery.sinks.jsonl, sidecar.delivery.sinks.http;"
        "print({'aiokafka', 'nats', 'pyarrow', 'obstore'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "set()\n"
