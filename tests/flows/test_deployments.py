"""The flows on a real Prefect server."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.utilities.importtools import import_object

from flows import deployments as prefect_flows
from schemas.errors import ConfigurationError
from tests.places import ROOT


def test_nightly_completes_on_a_server(tagged: Path, prefect_server: Callable[[], None]) -> None:
    state = prefect_flows.nightly(tagged, return_state=True)
    assert state.is_completed()
    assert state.result().tags.selected == 0
    with get_client(sync_client=True) as client:
        assert [run.state_name for run in client.read_flow_runs() if run.id == state.state_details.flow_run_id] == [
            "Completed"
        ]


def test_a_failing_flow_keeps_its_reason(tmp_path: Path, prefect_server: Callable[[], None]) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no .*absent.toml"):
        prefect_flows.ingest_catalog(tmp_path / "absent.toml")


def test_deployments_name_real_flows() -> None:
    text = (ROOT / "deploy" / "prefect.yaml").read_text(encoding="utf-8")
    deployments = yaml.safe_load(text)["deployments"]
    names = {}
    for deployment in deployments:
        module, flow = deployment["entrypoint"].removesuffix(".py").split(".py:")
        found = import_object(f"{module.replace('/', '.')}.{flow}")
        assert isinstance(found, Flow)
        names[deployment["name"]] = found.name
    assert names == {name: name for name in names}
    flows = {flow.name for flow in vars(prefect_flows).values() if isinstance(flow, Flow)}
    assert set(names) == flows and len(flows) == 7
