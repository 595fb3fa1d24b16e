"""The ethnic category of a patient as the UK Core extension (domain.md 3.3); never a default.

The Scottish code stands first and the words always. The English code beside it is our own table,
which loses detail; the code system of the Scottish ones is retired, and still the only one.
"""

from __future__ import annotations

from gateway.fhir import terms
from gateway.fhir.terms import Json

_URL = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory"
_SCOTLAND = "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryScotland"
_ENGLAND = "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryEngland"
_CATEGORIES = {
    "1A": ("Scottish", "A"), "1B": ("Other British", "A"), "1C": ("Irish", "B"),
    "1K": ("Gypsy/Traveller", "C"), "1L": ("Polish", "C"), "1Z": ("Other white", "C"),
    "2A": ("Mixed or multiple", "G"), "3F": ("Pakistani", "J"), "3G": ("Indian", "H"),
    "3H": ("Bangladeshi", "K"), "3J": ("Chinese, Chinese Scottish or British", "R"),
    "3Z": ("Other Asian", "L"), "4D": ("African, African Scottish or British", "N"),
    "4Y": ("Other African", "N"), "5C": ("Caribbean", "M"), "5D": ("Black", "P"),
    "5Y": ("Other Caribbean or Black", "P"), "6A": ("Arab", "S"), "6Z": ("Other", "S"),
    "98": ("Refused", "Z"), "99": ("Not known", "99"),
}  # fmt: skip


def with_ethnic_category(patient: Json, code: str) -> Json:
    """Return the Patient with the extension; without a known code, as it was."""
    if code not in _CATEGORIES:
        return patient
    words, english = _CATEGORIES[code]
    codings = [terms.coding(_SCOTLAND, code, words), terms.coding(_ENGLAND, english)]
    made = {"url": _URL, "valueCodeableConcept": {"coding": codings, "text": words}}
    return {**patient, "extension": [*patient.get("extension", ()), made]}
