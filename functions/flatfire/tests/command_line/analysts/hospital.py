"""Makes a small hospital: FHIR files of 40 people who do not exist, for the questions of docs/analysts.md.

    python3 hospital.py FOLDER

The files are the same every time. Most of them are regular; what makes the questions hard is written out by hand:
partial dates, several names, time zones, results under two codes, cancelled and wrong entries, two units for one
laboratory value, references by identifier, references to what nobody has sent.
"""

import datetime
import gzip
import json
import pathlib
import re
import sys

LOINC, SNOMED, CVX = "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/cvx"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
UNITS = "http://unitsofmeasure.org"
PATIENTS = range(1, 41)

FAMILIES = ["Lindqvist", "Okafor", "Müller", "Núñez", "van Dijk", "O'Brien", "Åkesson", "Tanaka", "Haddad", "Kowalska"]
GIVEN = [("Maja", "female"), ("Emil", "male"), ("Ines", "female"), ("Jonas", "male"), ("Nils", "male"),
         ("Sara", "female"), ("Yuki", "female"), ("Pavel", "male")]
RACES = [("2106-3", "White"), ("2054-5", "Black or African American"), ("2028-9", "Asian"), ("2131-1", "Other Race")]
DIAGNOSES = [("44054006", "Diabetes mellitus type 2"), ("38341003", "Hypertension"), ("195967001", "Asthma"),
             ("13645005", "Chronic obstructive lung disease"), ("40930008", "Hypothyroidism")]
PROCEDURES = [("73761001", "Colonoscopy"), ("80146002", "Appendectomy"), ("29303009", "Electrocardiographic procedure")]

# Patient, admission, discharge, status. What comes back within 30 days of a discharge is a readmission.
STAYS = [
    (4, "2026-01-10T09:00:00+01:00", "2026-01-15T12:00:00+01:00", "finished"),
    (4, "2026-02-01T20:30:00+01:00", "2026-02-03T10:00:00+01:00", "finished"),  # after 17 days
    (8, "2026-03-01T08:00:00Z", "2026-03-02T08:00:00Z", "finished"),
    (8, "2026-04-15T08:00:00Z", "2026-04-20T16:00:00Z", "finished"),  # after 44 days
    (16, "2026-04-26T10:00:00+02:00", "2026-05-01T10:00:00+02:00", "finished"),
    (16, "2026-05-31T09:00:00+02:00", "2026-06-04T11:00:00+02:00", "finished"),  # an hour before 30 days are over
    (20, "2026-02-01T00:00:00Z", "2026-02-05T00:00:00Z", "finished"),
    (20, "2026-02-10T00:00:00Z", "2026-02-12T00:00:00Z", "finished"),  # after 5 days
    (20, "2026-03-01T00:00:00Z", "2026-03-09T12:00:00Z", "finished"),  # after 17 days
    (24, "2026-06-25T14:00:00Z", None, "in-progress"),  # 15 days after the last of this list
    (28, "2026-05-02T06:00:00Z", "2026-05-02T18:00:00Z", "finished"),
    (36, "2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z", "finished"),
    (36, "2026-01-20T00:00:00Z", "2026-01-22T00:00:00Z", "entered-in-error"),
    (24, "2026-06-03T12:00:00Z", "2026-06-10T14:00:00Z", "finished"),
]


def number(text):
    """Returns a decimal that keeps the digits it is written with."""
    return f"@{text}@"


def concept(system, code, display, text=None, local=None):
    codings = [{"system": "urn:example:local", "code": local}] if local else []
    codings.append({"system": system, "code": code, "display": display})
    return {"coding": codings} | ({"text": text} if text else {})


def reference(kind, identity):
    return {"reference": f"{kind}/{identity}"}


def person(i):
    return reference("Patient", f"p{i:02}")


def day(base, days):
    return (datetime.date.fromisoformat(base) + datetime.timedelta(days=days)).isoformat()


def quantity(value, unit, code=None):
    return {"value": number(value), "unit": unit, "system": UNITS, "code": code or unit}


def registry():
    """Returns organizations, practitioners and medications: what the other files refer to."""
    names = {"hospital": "Example Hospital", "insurer-a": "Alba Insurance", "insurer-b": "Borealis Health",
             "insurer-c": "Cirrus Mutual"}
    for identity, name in names.items():
        yield {"resourceType": "Organization", "id": identity, "name": name}
    for i, (family, given) in enumerate([("Holm", "Astrid"), ("Osei", "Kofi"), ("Petrov", "Mila"), ("Ruiz", "Leo")], 1):
        yield {"resourceType": "Practitioner", "id": f"d{i}", "name": [{"family": family, "given": [given]}],
               "identifier": [{"system": "urn:example:staff", "value": f"S-0{i}"}]}
    for identity, name in {"ramipril": "Ramipril 5 mg", "salbutamol": "Salbutamol inhaler"}.items():
        yield {"resourceType": "Medication", "id": identity, "code": {"text": name}}


def patients():
    for i in PATIENTS:
        given, gender = GIVEN[i % len(GIVEN)]
        patient = {
            "resourceType": "Patient", "id": f"p{i:02}",
            "identifier": [{"system": "urn:example:mrn", "value": f"MRN-{1000 + i}"}],
            "name": [{"use": "official", "family": FAMILIES[i % len(FAMILIES)], "given": [given]}],
            "gender": gender, "birthDate": day("1935-03-17", i * 631),
            "address": [{"use": "home", "city": "Exampleton", "postalCode": f"{10000 + i}"}],
            "extension": [race([RACES[i % 4]]), ethnicity(i % 5 == 0)],
        }
        if i % 3:
            patient["telecom"] = [{"system": "phone", "value": f"+1 555 01{i:02}"}]
        patient.update(special_patient(i, patient))
        yield {key: value for key, value in patient.items() if value is not None}


def race(categories):
    parts = [{"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code,
              "display": display}} for code, display in categories]
    return {"url": US_CORE + "us-core-race",
            "extension": [*parts, {"url": "text", "valueString": " and ".join(display for _, display in categories)}]}


def ethnicity(hispanic):
    code, display = ("2135-2", "Hispanic or Latino") if hispanic else ("2186-5", "Not Hispanic or Latino")
    coding = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code, "display": display}
    return {"url": US_CORE + "us-core-ethnicity",
            "extension": [{"url": "ombCategory", "valueCoding": coding}, {"url": "text", "valueString": display}]}


def special_patient(i, patient):
    absent = [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    old = {"use": "old", "system": "urn:example:mrn", "value": "OLD-77"}
    return {
        5: {"deceasedDateTime": "2026-02-14T03:20:00+01:00"},
        6: {"deceasedBoolean": True},
        7: {"birthDate": "1948"},
        9: {"birthDate": None, "_birthDate": {"extension": absent}},
        10: {"gender": None},
        11: {"extension": None},
        12: {"extension": [race(RACES[1:3]), ethnicity(False)]},
        13: {"deceasedBoolean": False},
        14: {"deceasedDateTime": "2025-11"},
        15: {"name": [{"use": "maiden", "family": "Lindqvist"}, *patient["name"]]},
        17: {"name": [{"family": "lindqvist", "given": ["ALMA"]}]},
        18: {"identifier": [old, *patient["identifier"]]},
        21: {"name": [{"family": "LINDQVIST-BERG", "given": ["Noor"]}]},
    }.get(i, {})


def visits():
    """Returns short visits of everybody, and the stays. Every fifth names its doctor by staff number alone."""
    for i in PATIENTS:
        for n in range(1 + i % 3):
            start = day("2025-07-03", i * 5 + n * 61)
            yield encounter(f"v{i:02}-{n}", i, "AMB", f"{start}T09:00:00+02:00", f"{start}T09:40:00+02:00")
    for n, (i, start, end, status) in enumerate(STAYS):
        yield encounter(f"s{n:02}", i, "IMP", start, end) | {"status": status}


def encounter(identity, i, kind, start, end):
    doctor = 1 + i % 4
    named = reference("Practitioner", f"d{doctor}")
    by_number = {"reference": f"Practitioner?identifier=urn:example:staff|S-0{doctor}"}
    visit = {
        "resourceType": "Encounter", "id": identity, "status": "finished",
        "class": {"system": TERMINOLOGY + "v3-ActCode", "code": kind}, "subject": person(i),
        "participant": [{"individual": by_number if i % 5 == 0 else named}],
        "period": {"start": start} | ({"end": end} if end else {}),
        "serviceProvider": reference("Organization", "clinic-of-another-town" if i == 19 else "hospital"),
    }
    # These visits are what a referral asked for.
    return visit | ({"basedOn": [reference("ServiceRequest", f"r{i:02}")]} if identity in ("v03-0", "v09-0") else {})


def conditions():
    for i in PATIENTS:
        for n in range(1 + (i % 4 == 0) + (i % 6 == 0)):
            code, display = DIAGNOSES[(i + n * 2) % 5 if i % 7 else 0]
            yield condition(f"{i:02}-{n}", i, concept(SNOMED, code, display, local="D1" if i % 7 == 0 else None))
    yield condition("text", 30, {"text": "Back pain"}) | {"onsetDateTime": "2024"}
    error = {"coding": [{"system": TERMINOLOGY + "condition-ver-status", "code": "entered-in-error"}]}
    yield condition("error", 31, concept(SNOMED, *DIAGNOSES[0])) | {"verificationStatus": error, "clinicalStatus": None}


def condition(identity, i, code):
    status = {"coding": [{"system": TERMINOLOGY + "condition-clinical", "code": "active" if i % 8 else "resolved"}]}
    confirmed = {"coding": [{"system": TERMINOLOGY + "condition-ver-status", "code": "confirmed"}]}
    return {"resourceType": "Condition", "id": f"c{identity}", "clinicalStatus": status,
            "verificationStatus": confirmed, "code": code, "subject": person(i),
            "encounter": reference("Encounter", f"v{i:02}-0"), "onsetDateTime": day("2001-05-20", i * 177)}


def laboratory():
    """Returns HbA1c, creatinine, weights and blood pressures."""
    for i in PATIENTS:
        for n in range(i % 4):
            yield lab(f"a{i:02}-{n}", i, concept(LOINC, "4548-4", "Hemoglobin A1c", local="HBA1C" if n else None),
                      quantity(f"{5 + (i * 7 + n * 4) % 50 / 10:.1f}", "%"), day("2026-01-04", i + n * 47))
        if i % 2:
            mass = quantity(f"{0.6 + i % 9 / 10:.2f}", "mg/dL") if i % 3 else quantity(str(60 + i), "umol/L")
            yield lab(f"k{i:02}", i, concept(LOINC, "2160-0", "Creatinine"), mass, day("2026-02-01", i * 3))
        weight = quantity(str(120 + i), "lb", "[lb_av]") if i % 8 == 0 else quantity(f"{55 + i / 2:.1f}", "kg")
        yield lab(f"w{i:02}", i, concept(LOINC, "29463-7", "Body weight"), weight, day("2026-03-01", i))
        yield pressure(f"b{i:02}", i, 112 + i * 13 % 47, 70 + i % 20)
    yield pressure("b-edge", 2, 140, 90)
    yield pressure("b-odd", 22, 120, 145)
    yield lab("a-error", 1, concept(LOINC, "4548-4", "Hemoglobin A1c"), quantity("19.9", "%"), "2026-06-01") | {
        "status": "entered-in-error"}
    spoilt = lab("a-spoilt", 2, concept(LOINC, "4548-4", "Hemoglobin A1c"), None, "2026-06-02")
    yield spoilt | {"valueString": "haemolysed"}
    late = lab("a-instant", 3, concept(LOINC, "4548-4", "Hemoglobin A1c"), quantity("6.10", "%"), None)
    yield late | {"effectiveInstant": "2026-06-03T23:30:00-04:00"}
    period = lab("a-period", 7, concept(LOINC, "4548-4", "Hemoglobin A1c"), quantity("8.8", "%"), None)
    yield period | {"effectivePeriod": {"start": "2026-06-09T08:00:00+02:00", "end": "2026-06-09T09:00:00+02:00"}}


def lab(identity, i, code, value, when):
    result = {"resourceType": "Observation", "id": identity, "status": "final", "code": code, "subject": person(i)}
    dated = {"effectiveDateTime": f"{when}T07:45:00+02:00"} if when else {}
    return result | dated | ({"valueQuantity": value} if value else {})


def pressure(identity, i, systolic, diastolic):
    parts = [("8480-6", "Systolic blood pressure", systolic), ("8462-4", "Diastolic blood pressure", diastolic)]
    panel = lab(identity, i, concept(LOINC, "85354-9", "Blood pressure panel"), None, day("2026-04-01", i))
    return panel | {"component": [{"code": concept(LOINC, code, display),
                                   "valueQuantity": quantity(str(value), "mmHg", "mm[Hg]")}
                                  for code, display, value in parts]}


def reports():
    for i in (2, 3, 7):
        results = [f"a{i:02}-0", f"w{i:02}"] + (["not-sent-yet"] if i == 7 else [])
        yield {"resourceType": "DiagnosticReport", "id": f"dr{i}", "status": "final", "code": {"text": "Check-up"},
               "subject": person(i), "effectiveDateTime": "2026-03-20",
               "result": [reference("Observation", result) for result in results]}


def treatment():
    """Returns prescriptions, procedures, vaccinations, allergies and referrals."""
    for i in PATIENTS:
        yield prescription(i)
        if i % 3 == 1:
            code, display = PROCEDURES[0 if i < 20 else i % 3 + i % 2 - 1 + (i > 30)]
            yield {"resourceType": "Procedure", "id": f"o{i:02}", "status": "not-done" if i == 7 else "completed",
                   "code": concept(SNOMED, code, display), "subject": person(i)} | performed(i)
        if i % 5 < 3:
            yield {"resourceType": "Immunization", "id": f"i{i:02}", "status": "not-done" if i == 2 else "completed",
                   "vaccineCode": {"coding": [{"system": CVX, "code": "140" if i % 7 else "309"}]},
                   "patient": person(i), "occurrenceDateTime": day("2025-07-15" if i == 10 else "2025-10-01", i)}
    yield from allergies()
    for i in (3, 9, 12, 15, 18):
        yield {"resourceType": "ServiceRequest", "id": f"r{i:02}", "status": "revoked" if i == 12 else "active",
               "intent": "order", "code": concept(SNOMED, "3457005", "Patient referral"), "subject": person(i),
               "requester": reference("Practitioner", f"d{1 + i % 4}"), "reasonCode": [{"text": f"Reason {i}"}],
               "authoredOn": "2026-06-20" if i == 18 else day("2026-03-01", i)}


def performed(i):
    moment = day("2025-03-10", i * 12)
    if i % 2:
        return {"performedDateTime": moment}
    return {"performedPeriod": {"start": f"{moment}T10:00:00Z", "end": f"{moment}T11:30:00Z"}}


def prescription(i):
    """Returns one of the three ways in which a prescription says its medication."""
    start = day("2026-01-01", i * 3)
    order = {"resourceType": "MedicationRequest", "id": f"m{i:02}", "status": "active", "intent": "order",
             "subject": person(i), "authoredOn": start}
    if i % 3 == 0:
        order["medicationCodeableConcept"] = concept("http://www.whocc.no/atc", "A10BA02", "metformin")
    elif i % 3 == 1:
        identity = "not-in-the-list" if i == 13 else "ramipril" if i % 2 else "salbutamol"
        order["medicationReference"] = reference("Medication", identity)
    else:
        order["contained"] = [{"resourceType": "Medication", "id": "med", "code": {"text": "Levothyroxine 50 mcg"}}]
        order["medicationReference"] = {"reference": "#med"}
    if i % 4 == 0:
        order["status"] = "completed"
        order["dispenseRequest"] = {"validityPeriod": {"start": start, "end": day(start, 56 + i)}}
    elif i % 4 == 1:
        bounds = {"boundsPeriod": {"start": start, "end": day(start, 20 * i)}}
        order["dosageInstruction"] = [{"text": "one a day", "timing": {"repeat": bounds}}]
    return order | ({"status": "entered-in-error"} if i == 22 else {})


def allergies():
    for identity, substance, criticality, manifestations, verification in [
            ("al1", "Penicillin", "high", ["Hives", "Wheeze"], "confirmed"),
            ("al2", "Peanut", "low", ["Itching"], "confirmed"),
            ("al3", "Latex", "low", [], "refuted")]:
        allergy = {"resourceType": "AllergyIntolerance", "id": identity, "patient": person(3),
                   "code": {"text": substance}, "criticality": criticality,
                   "verificationStatus": {"coding": [{"code": verification}]}}
        reaction = {"reaction": [{"manifestation": [{"text": text} for text in manifestations]}]}
        yield allergy | (reaction if manifestations else {})


def money():
    """Returns an insurance for everybody, and claims. Every sixth claim names a second insurance first."""
    for i in PATIENTS:
        yield {"resourceType": "Coverage", "id": f"cov{i:02}", "status": "active", "beneficiary": person(i),
               "payor": [reference("Organization", f"insurer-{'abc'[i % 3]}")]}
        insurance = [{"sequence": 1, "focal": True, "coverage": reference("Coverage", f"cov{i:02}")}]
        if i % 6 == 0:
            insurance.insert(0, {"sequence": 2, "focal": False, "coverage": reference("Coverage", f"cov{i - 1:02}")})
        lines = [number(f"{100 + i}.10"), number("0.20")]
        yield {"resourceType": "Claim", "id": f"cl{i:02}", "status": "cancelled" if i == 10 else "active",
               "use": "claim", "patient": person(i), "created": day("2026-05-01", i), "insurance": insurance,
               "item": [{"sequence": n, "net": {"value": net, "currency": "USD"}} for n, net in enumerate(lines, 1)],
               "total": {"value": number(f"{100 + i}.30"), "currency": "USD"}}


def questionnaires():
    for i in (1, 2, 3, 4):
        smokes = i % 2 == 0
        habits = [{"linkId": "smoking", "text": "Do you smoke?", "answer": [{"valueBoolean": smokes} | (
            {"item": [{"linkId": "cigarettes", "text": "How many a day?", "answer": [{"valueInteger": 5 * i}]}]}
            if smokes else {})]}]
        pain = {"linkId": "pain", "text": "Where does it hurt?",
                "answer": [{"valueCoding": {"system": "urn:example:body", "code": code, "display": code.title()}}
                           for code in ["back", "knee"][: 1 + i % 2]]}
        weight = {"linkId": "weight", "text": "Weight", "answer": [{"valueDecimal": number(f"{60 + i}.50")}]}
        yield {"resourceType": "QuestionnaireResponse", "id": f"q{i}", "status": "completed", "subject": person(i),
               "authored": f"2026-06-0{i}T10:00:00Z",
               "item": [{"linkId": "habits", "text": "Habits", "item": habits}, pain, weight]}


FILES = {
    "registry.ndjson": registry, "patients.ndjson": patients, "visits.ndjson": visits, "conditions.ndjson": conditions,
    "laboratory.ndjson.gz": laboratory, "reports.ndjson": reports, "treatment.ndjson": treatment,
    "money.ndjson": money, "questionnaires.ndjson": questionnaires,
}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, resources in FILES.items():
        lines = [json.dumps({key: value for key, value in resource.items() if value is not None}, ensure_ascii=False)
                 for resource in resources()]
        text = re.sub(r'"@([0-9.]+)@"', r"\1", "\n".join(lines) + "\n").encode()
        (folder / name).write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
