"""The SMART client of Python: launch with PKCE, refresh, reading."""

from __future__ import annotations

from fhirclient import client as smart
from fhirclient.models.diagnosticreport import DiagnosticReport
from fhirclient.models.observation import Observation
from playwright.sync_api import Page

from tests.browser.hospital import Hospital
from tests.browser.visit import go_through

SCOPE = "openid fhirUser offline_access patient/*.read"


def test_the_smart_client_of_python_launches_refreshes_and_reads(
    hospital: Hospital, page: Page
) -> None:
    app = hospital.add_app("Notebook", "--scope", f"launch/patient {SCOPE}")
    peer = smart.FHIRClient(
        settings={"app_id": app, "api_base": hospital.fhir, "scope": SCOPE,
                  "redirect_uri": f"{hospital.app}/back"}
    )  # fmt: skip
    assert peer.prepare() is False
    peer.handle_callback(go_through(page, peer.authorize_url, hospital.app))
    assert peer.ready
    assert peer.patient_id == hospital.patient
    assert set(peer.launch_context["scope"].split()) == {"launch/patient", *SCOPE.split()}
    first = peer.server.auth.access_token, peer.server.auth.refresh_token
    assert peer.reauthorize()
    assert not {*first} & {peer.server.auth.access_token, peer.server.auth.refresh_token}
    assert peer.patient.name[0].family == "Testpatient"
    search = DiagnosticReport.where({"patient": peer.patient_id, "_count": "1"})
    reports = list(search.perform_resources_iter(peer.server))
    assert len(reports) == 2
    observation = Observation.read_from(reports[0].result[0].reference, peer.server)
    assert observation.subject.reference == f"Patient/{hospital.patient}"
