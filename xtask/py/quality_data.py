"""A made-up hospital with defects at known rows: the data of `bench_quality.py`.

Everything follows from the number of a row, so every run makes the same resources. Rows whose number has a certain
remainder get a defect, and `expected` counts these rows; it shares nothing with the checks.
"""

import json

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
ACT_CODES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

# The share of each table among 2,000 rows.
TABLES = {
    "Organization": 1,
    "Practitioner": 2,
    "Patient": 30,
    "Encounter": 250,
    "Condition": 150,
    "MedicationRequest": 150,
    "Procedure": 120,
    "Immunization": 60,
    "DiagnosticReport": 137,
    "Observation": 1_100,
}
# Code, display, unit, lowest value and range.
LABORATORY = [
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 11, 7),
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 3, 3),
    ("29463-7", "Body weight", "kg", 40, 60),
    ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "%", 90, 10),
]
FAMILIES = ["Okafor", "Lindqvist", "Marchetti", "Yamada", "Novák", "Müller", "Hernández"]
GIVEN = ["Ada", "Björn", "Chiara", "Daichi", "Eliška", "Fernanda"]
# Rows of the same remainder have the same defect; of patients more rows do, because there are few.
PERIOD, PATIENT_PERIOD = 1_000, 100
DECEASED = 20


def rows_of(kind, rows):
    return max(rows * TABLES[kind] // 2_000, 1)


def busy_patients(rows):
    """The patients whom other resources are about; only the others have defects."""
    return max(rows_of("Patient", rows) * 2 // 3, 1)


def key(kind, number):
    return f"{kind}/9ab8da79-87d8-4e5a-8135-{number:012}"


def reference(kind, number):
    return {"reference": key(kind, number)}


def day(number, first_year, years):
    """A day: numbers below 336 times the years have different ones."""
    year = first_year + number % years
    return f"{year}-{number // years % 12 + 1:02}-{number // (12 * years) % 28 + 1:02}"


def scattered(number):
    """A number that does not follow its neighbours."""
    return number * 2_654_435_761 % 4_294_967_296 >> 8


def resource_of(kind, number, rows):
    """The resource without a defect."""
    made = MAKERS[kind](number, rows)
    meta = {"versionId": "1", "lastUpdated": f"2026-01-{number % 28 + 1:02}T0{number % 10}:12:25.610Z"}
    return {"resourceType": kind, "id": key("", number)[1:], "meta": meta} | made


def of_somebody(number, rows):
    """What most resources refer to; each patient has many numbers."""
    return {
        "subject": reference("Patient", number % busy_patients(rows)),
        "encounter": reference("Encounter", scattered(number) % rows_of("Encounter", rows)),
    }


def organization(number, rows):
    return {"name": f"Ward {number}"}


def practitioner(number, rows):
    return {"name": [{"family": FAMILIES[number % 7], "given": [GIVEN[number % 6]]}], "gender": "female"}


def patient(number, rows):
    made = {
        "identifier": [
            {"use": "official", "system": "urn:example:mrn", "value": f"M{number}"},
            {"use": "old", "system": "urn:example:old", "value": f"O{number}"},
        ],
        "name": [
            {"use": "official", "family": FAMILIES[number % 7], "given": [GIVEN[number % 6], "Maria"]},
            {"use": "nickname", "text": GIVEN[number % 6]},
        ],
        "telecom": [
            {"system": "phone", "value": f"+46 {number}"},
            {"system": "email", "value": f"p{number}@example.org"},
        ],
        "gender": ["male", "female", "other", "unknown"][number % 4],
        "birthDate": day(scattered(number), 1930, 80),
        "address": [
            {
                "use": "home",
                "line": [f"Storgatan {number % 90}"],
                "city": "Umeå",
                "postalCode": "903 26",
                "country": "SE",
                "period": {"start": "2019", "end": "2025"},
            }
        ],
        "managingOrganization": reference("Organization", number % rows_of("Organization", rows)),
    }
    if 0 <= number - busy_patients(rows) + DECEASED < DECEASED:
        made["deceasedDateTime"] = "2020-05-05T10:00:00Z"
    return made


def encounter(number, rows):
    date = day(scattered(number), 2021, 5)
    alive = busy_patients(rows) - DECEASED
    return {
        "status": "finished",
        "class": {"system": ACT_CODES, "code": "AMB", "display": "ambulatory"},
        "type": [{"coding": [{"system": SNOMED, "code": "162673000", "display": "General examination"}]}],
        "subject": reference("Patient", number % alive),
        "participant": [{"individual": reference("Practitioner", number % rows_of("Practitioner", rows))}],
        "period": {"start": f"{date}T08:{number % 60:02}:07Z", "end": f"{date}T10:{number % 60:02}:07Z"},
        "serviceProvider": reference("Organization", number % rows_of("Organization", rows)),
    }


def observation(number, rows):
    if number % PERIOD == 22:
        # The same again.
        number -= 1
    code, display, unit, low, span = LABORATORY[number % 4]
    moment = f"{day(number // busy_patients(rows), 2015, 10)}T{8 + number % 12:02}:{number % 60:02}:07"
    value = low + scattered(number) % (10 * span) / 10
    quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    made = {
        "status": "final",
        "category": [{"coding": [{"system": "urn:example:category", "code": "laboratory", "display": "Laboratory"}]}],
        "code": {"coding": [{"system": LOINC, "code": code, "display": display}], "text": display},
        **of_somebody(number, rows),
        "effectiveDateTime": f"{moment}+00:00",
        "issued": f"{moment}.610+00:00",
        "performer": [
            reference("Practitioner", number % rows_of("Practitioner", rows)),
            reference("Organization", number % rows_of("Organization", rows)),
        ],
    }
    if number % 5:
        return made | {"valueQuantity": quantity}
    component = [
        {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": quantity},
        {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, "valueString": "low"},
    ]
    return made | {"component": component}


def condition(number, rows):
    made = {
        "code": {"coding": [{"system": SNOMED, "code": "38341003", "display": "Hypertension"}], "text": "Hypertension"},
        **of_somebody(number, rows),
        "recordedDate": day(scattered(number), 2015, 10),
    }
    if number % 2:
        return made | {"onsetDateTime": "2014"}
    return made | {"onsetAge": {"value": 17, "unit": "years", "system": UCUM, "code": "a"}}


def procedure(number, rows):
    time = f"{day(scattered(number), 2015, 10)}T09:12:25+01:00"
    coding = [{"system": SNOMED, "code": f"4697{number}", "display": "Something done"}]
    made = {"status": "completed", "code": {"coding": coding}, "performedDateTime": time}
    return made | of_somebody(number, rows)


def immunization(number, rows):
    time = "00:00:00+02:00" if number % 10 < 6 else "09:12:25+02:00"
    return {
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": f"{number}"}]},
        "patient": reference("Patient", number % busy_patients(rows)),
        "occurrenceDateTime": f"{day(scattered(number), 2015, 10)}T{time}",
    }


def medication_request(number, rows):
    quantity = {"value": 2.5, "unit": "mg", "system": UCUM, "code": "mg"}
    return {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Ramipril 2.5 MG Oral Tablet"},
        **of_somebody(number, rows),
        "authoredOn": day(scattered(number), 2015, 10),
        "dosageInstruction": [{"text": "one in the morning", "doseAndRate": [{"doseQuantity": quantity}]}],
    }


def diagnostic_report(number, rows):
    first = scattered(number) % rows_of("Observation", rows)
    return {
        "status": "final",
        "code": {"text": "Panel"},
        **of_somebody(number, rows),
        "effectiveDateTime": day(scattered(number), 2015, 10),
        "issued": f"2025-12-{number % 28 + 1:02}T09:12:25Z",
        "result": [reference("Observation", first), reference("Observation", first // 2)],
    }


MAKERS = {
    "Organization": organization,
    "Practitioner": practitioner,
    "Patient": patient,
    "Encounter": encounter,
    "Condition": condition,
    "MedicationRequest": medication_request,
    "Procedure": procedure,
    "Immunization": immunization,
    "DiagnosticReport": diagnostic_report,
    "Observation": observation,
}


def remove(resource, *steps):
    *parents, name = steps
    for step in parents:
        resource = resource[step]
    del resource[name]


def put(resource, value, *steps):
    *parents, name = steps
    for step in parents:
        resource = resource[step]
    resource[name] = value


def without_unit(quantity):
    del quantity["unit"], quantity["code"]


def in_other_unit(resource, unit):
    resource["valueQuantity"] |= {"unit": unit, "code": unit}


def twin(resource, number):
    remove(resource, "identifier")
    name = [{"family": f"Berg{number // PATIENT_PERIOD}", "given": ["Ida"]}]
    resource |= {"name": name, "gender": "female", "birthDate": "1999-01-01"}


CODING = ("code", "coding", 0)
TWICE = {"system": "urn:example:mrn"}

# By table: the remainders of the rows, what happens to a row (resource, number), and the checks and columns that count it.
# Observations whose remainder is a multiple of 5 have components, and four codes take turns: a percentage is at 3.
DEFECTS = {
    "Observation": [
        ([1], lambda o, n: remove(o, *CODING, "system"), ["code-without-system code"]),
        ([2], lambda o, n: o["code"]["coding"].append({"code": "X"}), ["code-without-system code"]),
        ([4], lambda o, n: o["category"].append({"coding": [{"code": "l"}]}), ["code-without-system category"]),
        (
            [5],
            lambda o, n: remove(o, "component", 0, *CODING, "system"),
            ["code-without-system component.code"],
        ),
        ([6], lambda o, n: remove(o, *CODING, "code"), ["system-without-code code"]),
        ([8], lambda o, n: put(o, {"display": "Something"}, *CODING), ["display-without-code code"]),
        ([9], lambda o, n: remove(o, "valueQuantity", "value"), ["unit-without-value valueQuantity"]),
        ([12], lambda o, n: without_unit(o["valueQuantity"]), ["value-without-unit valueQuantity"]),
        (
            [10],
            lambda o, n: without_unit(o["component"][0]["valueQuantity"]),
            ["value-without-unit component.valueQuantity"],
        ),
        ([13], lambda o, n: remove(o, "valueQuantity", "system"), ["unit-code-without-system valueQuantity"]),
        (
            [14],
            lambda o, n: put(o, "mm Hg", "valueQuantity", "code"),
            ["invalid-ucum-code valueQuantity", "mixed-units valueQuantity"],
        ),
        ([3], lambda o, n: put(o, 400, "valueQuantity", "value"), ["percent-above-100 valueQuantity"]),
        ([16], lambda o, n: in_other_unit(o, "oz"), ["mixed-units valueQuantity"]),
        ([17], lambda o, n: put(o, 90_000_000, "valueQuantity", "value"), ["value-outlier valueQuantity"]),
        ([18], lambda o, n: put(o, 0.0001, "valueQuantity", "value"), ["value-outlier valueQuantity"]),
        ([19], lambda o, n: put(o, "2999-01-01T10:00:00Z", "issued"), ["date-in-future issued"]),
        ([21, 22], lambda o, n: None, ["repeated-resource code_code"]),
        ([24], lambda o, n: put(o, "cancelled", "status"), ["cancelled-with-result status"]),
        ([26], lambda o, n: put(o, "Patient/nobody", "subject", "reference"), ["dangling-reference subject_key"]),
        (
            [27],
            lambda o, n: put(o, f"Encounter/none{n}", "encounter", "reference"),
            ["dangling-reference encounter_key"],
        ),
        (
            [28],
            lambda o, n: put(o, "Organization/closed", "performer", 1, "reference"),
            ["dangling-reference performer_keys"],
        ),
        (
            [29],
            lambda o, n: o["performer"].append({"display": "Dr Holm"}),
            ["reference-without-target performer"],
        ),
        ([31], lambda o, n: put(o, "done", "status"), ["status-outside-value-set status"]),
        ([32], lambda o, n: put(o, "2014-01-01T08:00:00Z", "issued"), ["issued-before-effective effectiveDateTime"]),
    ],
    "Patient": [
        ([1], lambda o, n: put(o, "2991-05-05", "birthDate"), ["birth-date-in-future birthDate"]),
        ([2], lambda o, n: put(o, "1850-05-05", "birthDate"), ["birth-date-too-early birthDate"]),
        ([3], lambda o, n: put(o, "1920", "deceasedDateTime"), ["death-before-birth deceasedDateTime"]),
        ([4], lambda o, n: put(o, "2018", "address", 0, "period", "end"), ["period-reversed address_period"]),
        (
            [5],
            lambda o, n: put(o, "2999-12-01T10:00:00Z", "meta", "lastUpdated"),
            ["last-updated-in-future meta_lastUpdated"],
        ),
        ([6], lambda o, n: o["identifier"].append({"value": "7"}), ["identifier-without-system identifier"]),
        ([7], lambda o, n: o["identifier"].append({"system": "urn:e"}), ["identifier-without-value identifier"]),
        (
            [8, 9],
            lambda o, n: o["identifier"].append(TWICE | {"value": f"twice{n // PATIENT_PERIOD}"}),
            ["duplicate-identifier identifier"],
        ),
        ([10, 11], twin, ["duplicate-patient name_family"]),
        ([12], lambda o, n: put(o, "m", "gender"), ["gender-outside-value-set gender"]),
        ([13], lambda o, n: o["telecom"].append({"value": "017"}), ["telecom-without-system telecom"]),
        ([14], lambda o, n: put(o, "p at example.org", "telecom", 1, "value"), ["malformed-email telecom"]),
        ([15], lambda o, n: put(o, "ask the nurse", "telecom", 0, "value"), ["malformed-phone telecom"]),
        ([16], lambda o, n: remove(o, "address", 0, "country"), ["address-without-country address"]),
        ([17], lambda o, n: remove(o, "address", 0, "postalCode"), ["address-without-postal-code address"]),
        ([18], lambda o, n: o["name"].append({"use": "old"}), ["name-without-parts name"]),
        ([19], lambda o, n: put(o, " \t", "address", 0, "city"), ["blank-text address_city"]),
        ([20], lambda o, n: put(o, "Stra\ufffde", "address", 0, "line", 0), ["replacement-character address_line"]),
        ([21], lambda o, n: put(o, "MÃ¼ller", "name", 0, "family"), ["wrong-encoding name_family"]),
        ([22], lambda o, n: put(o, "Test", "name", 0, "family"), ["placeholder-name name"]),
        ([23], lambda o, n: put(o, "UNKNOWN", "name", 0, "given", 1), ["placeholder-name name"]),
    ],
    "Encounter": [
        ([1], lambda o, n: remove(o, "class", "code"), ["system-without-code class"]),
        ([2], lambda o, n: put(o, "2020-12-31T23:59:00Z", "period", "end"), ["period-reversed period"]),
        ([3], lambda o, n: o.update(subject={"reference": None}), ["after-death period_start"]),
        ([4], lambda o, n: remove(o, "period", "end"), ["finished-without-end period_end"]),
        (
            [5],
            lambda o, n: o.update(status="in-progress", period={"start": "2025-06-01"}),
            ["open-too-long period_start"],
        ),
        (
            [6],
            lambda o, n: put(o, "Practitioner/gone", "participant", 0, "individual", "reference"),
            ["dangling-reference participant.individual_key"],
        ),
        (
            [7],
            lambda o, n: put(o, {"display": "Ward"}, "serviceProvider"),
            ["reference-without-target serviceProvider"],
        ),
        ([8], lambda o, n: remove(o, "status"), ["missing-mandatory status"]),
    ],
    "Condition": [
        ([2], lambda o, n: put(o, -1, "onsetAge", "value"), ["negative-quantity onsetAge"]),
        ([3], lambda o, n: put(o, "2999-06-19", "recordedDate"), ["date-in-future recordedDate"]),
        ([5], lambda o, n: put(o, "1911", "onsetDateTime"), ["before-birth onsetDateTime"]),
        ([7], lambda o, n: put(o, o["subject"]["reference"], "encounter", "reference"), ["wrong-reference-type encounter"]),
        ([9], lambda o, n: put(o, "", "code", "text"), ["blank-text code_text"]),
    ],
    "MedicationRequest": [
        ([1], lambda o, n: remove(o, "dosageInstruction"), ["medication-without-dose dosageInstruction"]),
        ([2], lambda o, n: remove(o, "intent"), ["missing-mandatory intent"]),
        (
            [3],
            lambda o, n: without_unit(o["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]),
            ["value-without-unit dosageInstruction.doseAndRate.doseQuantity"],
        ),
    ],
    "Procedure": [([1], lambda o, n: remove(o, "subject"), ["missing-subject subject"])],
    "Immunization": [([1], lambda o, n: remove(o, "patient"), ["missing-subject patient"])],
    "DiagnosticReport": [
        (
            [1],
            lambda o, n: put(o, "2013-12-31T10:00:00Z", "issued"),
            ["issued-before-effective effectiveDateTime"],
        ),
    ],
}


def has_defects(kind, number, rows):
    return kind != "Patient" or number >= busy_patients(rows)


def period_of(kind):
    return PATIENT_PERIOD if kind == "Patient" else PERIOD


def changes_of(kind):
    return {rest: change for rests, change, _ in DEFECTS.get(kind, []) for rest in rests}


def write(path, kind, rows):
    """Writes the resources of a type."""
    changes, period = changes_of(kind), period_of(kind)
    with open(path, "w", encoding="utf-8") as file:
        for number in range(rows_of(kind, rows)):
            resource = resource_of(kind, number, rows)
            change = changes.get(number % period)
            if change and has_defects(kind, number, rows):
                change(resource, number)
                if kind == "Encounter" and number % period == 3:
                    resource["subject"] = reference("Patient", busy_patients(rows) - 1 - number // period % DECEASED)
            file.write(json.dumps(resource, separators=(",", ":"), ensure_ascii=False) + "\n")


def expected(rows):
    """The number of rows that each check must count, by check, table and column."""
    counts = {}

    def add(check, kind, column, count):
        if count:
            counts[check, kind, column] = counts.get((check, kind, column), 0) + count

    for kind, defects in DEFECTS.items():
        numbers = [number for number in range(rows_of(kind, rows)) if has_defects(kind, number, rows)]
        for rests, _, checks in defects:
            count = sum(number % period_of(kind) in rests for number in numbers)
            for check, column in map(str.split, checks):
                add(check, kind, column, count)
    midnights = sum(number % 10 < 6 for number in range(rows_of("Immunization", rows)))
    add("midnight-times", "Immunization", "occurrenceDateTime", midnights)
    return counts
