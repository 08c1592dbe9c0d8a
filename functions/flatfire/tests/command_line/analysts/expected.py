"""The answers to docs/analysts.md, worked out from the FHIR files in plain Python: no table, no pandas, no query.

Each function is named after the variable of the page that holds the answer. It gets the resources by type and returns
the rows of the answer, in any order. Where the hospital tells a story by hand, so does the answer.
"""

import collections
import datetime
import pathlib
import statistics
from decimal import Decimal

FINAL = {"final", "amended", "corrected"}


def moment(text):
    """Returns the earliest moment that a date of FHIR can mean, in UTC and without a zone."""
    if len(text) <= 10:
        return datetime.datetime(*map(int, (text.split("-") + ["1", "1"])[:3]))
    exact = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return exact.astimezone(datetime.timezone.utc).replace(tzinfo=None)


def effective(result):
    period = result.get("effectivePeriod", {})
    return moment(result.get("effectiveDateTime") or result.get("effectiveInstant") or period["start"])


def has_code(concept, code):
    return any(coding.get("code") == code for coding in concept.get("coding", []))


def word(concept):
    """Returns what the hospital calls it. Only codes of the laboratory and the clinic themselves have no word."""
    words = [coding["display"] for coding in concept.get("coding", []) if "display" in coding]
    return words[0] if words else concept["text"]


def verified(resource):
    status = resource.get("verificationStatus", {})
    return not has_code(status, "entered-in-error") and not has_code(status, "refuted")


def years(born, on):
    whole = on.year - born.year
    return whole - ((on.month, on.day) < (born.month, born.day))


def births_of(fhir):
    return {f"Patient/{p['id']}": moment(p["birthDate"]) for p in fhir["Patient"] if "birthDate" in p}


def subject(resource):
    return resource["subject"]["reference"]


def latest(rows):
    """Returns the last of each key: rows are (key, moment, …)."""
    newest = {}
    for row in sorted(rows, key=lambda row: row[1]):
        newest[row[0]] = row
    return list(newest.values())


def stays_by_gender(fhir):
    gender = {f"Patient/{p['id']}": p.get("gender", "not said") for p in fhir["Patient"]}
    inpatients = [e for e in fhir["Encounter"] if e["class"]["code"] == "IMP" and e["status"] != "entered-in-error"]
    return list(collections.Counter(gender[subject(e)] for e in inpatients).items())


def claim_lines(fhir):
    claims = [claim for claim in fhir["Claim"] if claim["status"] == "active"]
    lines = [item["net"]["value"] for claim in claims for item in claim["item"]]
    return [(len(claims), len(lines), sum(lines))]


def for_excel(fhir):
    def row(p):
        name = next((n for n in p["name"] if n.get("use") == "official"), p["name"][0])
        number = next(n for n in p["identifier"] if n.get("use") != "old")
        place = p["address"][0]["postalCode"]
        return (f"Patient/{p['id']}", number["value"], name["family"], p.get("birthDate"), place)

    return [row(p) for p in fhir["Patient"]]


def by_number(_):
    return [("Patient/p18", "MRN-1018", "Haddad")]


def by_part(fhir):
    named = [p for p in fhir["Patient"] if any("lindqvist" in n["family"].lower() for n in p["name"])]
    assert len(named) == 7, "p10, p20, p30 and p40, the maiden name of p15, and two spellings"
    front = {p["id"]: next((n for n in p["name"] if n.get("use") == "official"), p["name"][0]) for p in named}
    return [(f"Patient/{identity}", name["family"], name["given"]) for identity, name in front.items()]


def without_accents(fhir):
    return [(f"Patient/{p['id']}", "Núñez") for p in fhir["Patient"] if p["name"][0]["family"] == "Núñez"]


def by_race(fhir):
    counts = collections.Counter()
    for p in fhir["Patient"]:
        said = {e["url"].rpartition("-")[2]: [part["valueCoding"]["display"] for part in e["extension"]
                if part["url"] == "ombCategory"] for e in p.get("extension", [])}
        for race in said.get("race", ["not said"]):
            counts[race, said.get("ethnicity", ["not said"])[0]] += 1
    return [(*key, count) for key, count in counts.items()]


def deaths(_):
    """Patient 6 died nobody knows when; 5 was born on 1943-11-05 and 14 on 1959-05-24."""
    return [("Patient/p05", datetime.datetime(1943, 11, 5), datetime.datetime(2026, 2, 14, 2, 20), 82),
            ("Patient/p06", datetime.datetime(1945, 7, 28), None, None),
            ("Patient/p14", datetime.datetime(1959, 5, 24), datetime.datetime(2025, 11, 1), 66)]


def age_at_onset(fhir):
    born, first = births_of(fhir), {}
    for condition in fhir["Condition"]:
        if has_code(condition["code"], "44054006") and verified(condition):
            onset = moment(condition["onsetDateTime"])
            first[subject(condition)] = min(onset, first.get(subject(condition), onset))
    return [(patient, years(born[patient], at) if patient in born else None) for patient, at in first.items()]


def results(fhir, code):
    return [result for result in fhir["Observation"]
            if has_code(result["code"], code) and result["status"] in FINAL and "valueQuantity" in result]


def last_hba1c(fhir):
    return latest([(subject(r), effective(r), float(r["valueQuantity"]["value"]), r["valueQuantity"]["unit"])
                   for r in results(fhir, "4548-4")])


def high_pressures(fhir):
    rows = [(subject(r), effective(r), float(part["valueQuantity"]["value"]))
            for r in fhir["Observation"] for part in r.get("component", [])
            if has_code(part["code"], "8480-6") and part["valueQuantity"]["value"] > 140]
    assert not {"Patient/p02", "Patient/p22"} & {row[0] for row in rows if row[2] <= 140}
    return rows


def by_month(fhir):
    months = collections.defaultdict(list)
    for result in results(fhir, "4548-4"):
        months[effective(result).replace(day=1, hour=0, minute=0, second=0)].append(result["valueQuantity"]["value"])
    return [(month, len(values), float(statistics.median(values))) for month, values in months.items()]


def numeric(fhir):
    return [r for r in fhir["Observation"] if r["status"] in FINAL and "valueQuantity" in r]


def units(fhir):
    counts = collections.Counter()
    for result in numeric(fhir):
        counts[result["code"]["coding"][-1]["code"], result["valueQuantity"]["code"]] += 1
    return [(*key, count) for key, count in counts.items()]


def latest_labs(fhir):
    wide = collections.defaultdict(dict)
    for code in ["2160-0", "29463-7", "4548-4"]:
        for patient, _, result in latest([(subject(r), effective(r), r["valueQuantity"]) for r in results(fhir, code)]):
            factor = {"umol/L": 1 / 88.42, "[lb_av]": 0.45359237}.get(result["code"], 1)
            wide[patient][code] = float(result["value"]) * factor
    return [(patient, *map(values.get, ["2160-0", "29463-7", "4548-4"])) for patient, values in wide.items()]


def top_diagnoses(fhir):
    patients = collections.defaultdict(set)
    for condition in filter(verified, fhir["Condition"]):
        patients[word(condition["code"])].add(subject(condition))
    return [(name, len(who)) for name, who in patients.items()]


def by_doctor(fhir):
    family = {}
    for doctor in fhir["Practitioner"]:
        number = doctor["identifier"][0]
        for way in [f"Practitioner/{doctor['id']}", f"Practitioner?identifier={number['system']}|{number['value']}"]:
            family[way] = doctor["name"][0]["family"]
    seen_by = {f"Encounter/{e['id']}": family[e["participant"][0]["individual"]["reference"]]
               for e in fhir["Encounter"]}
    counts = collections.Counter((seen_by[c["encounter"]["reference"]], word(c["code"]))
                                 for c in filter(verified, fhir["Condition"]))
    assert sum(counts.values()) == 57, "every diagnosis but the wrong one has a doctor"
    return [(*key, count) for key, count in counts.items()]


def stays(fhir):
    rows = []
    for e in fhir["Encounter"]:
        if e["class"]["code"] == "IMP" and e["status"] in ("finished", "in-progress"):
            start, end = moment(e["period"]["start"]), moment(e["period"]["end"]) if "end" in e["period"] else None
            days = (end - start) / datetime.timedelta(days=1) if end else None
            rows.append((f"Encounter/{e['id']}", subject(e), start, end, days))
    return rows


def readmissions(fhir):
    """The five that hospital.py names; see the comments there."""
    back = {f"Encounter/{stay}" for stay in ("s01", "s05", "s07", "s08", "s09")}
    return [stay for stay in stays(fhir) if stay[0] in back]


def last_encounter(fhir):
    rows = [(subject(e), moment(e["period"]["start"]), f"Encounter/{e['id']}", e["class"]["code"])
            for e in fhir["Encounter"] if e["status"] != "entered-in-error"]
    return [(identity, patient, at, kind) for patient, at, identity, kind in latest(rows)]


def active_medications(fhir):
    names = {f"Medication/{m['id']}": m["code"]["text"] for m in fhir["Medication"]}
    day, found = datetime.datetime(2026, 4, 15), []
    for order in fhir["MedicationRequest"]:
        target = order.get("medicationReference", {}).get("reference", "")
        inside = order["contained"][0]["code"]["text"] if target == "#med" else None
        name = inside or names.get(target) or ("metformin" if "medicationCodeableConcept" in order else None)
        period = order.get("dispenseRequest", {}).get("validityPeriod")
        for dosage in order.get("dosageInstruction", []):
            period = dosage["timing"]["repeat"]["boundsPeriod"]
        lasts = moment(period["end"]) >= day if period else order["status"] == "active"
        if order["status"] in ("active", "completed") and moment(order["authoredOn"]) <= day and lasts:
            found.append((subject(order), name))
    assert ("Patient/p13", None) in found, "a medication that nobody has sent"
    return found


def procedures_by_year(fhir):
    def when(procedure):
        return procedure.get("performedDateTime") or procedure["performedPeriod"]["start"]

    counts = collections.Counter((int(when(p)[:4]), word(p["code"])) for p in fhir["Procedure"]
                                 if p["status"] == "completed")
    return [(*key, count) for key, count in counts.items()]


def coverage(fhir):
    shots = {i["patient"]["reference"] for i in fhir["Immunization"]
             if i["status"] == "completed" and has_code(i["vaccineCode"], "140")
             and "2025-09-01" <= i["occurrenceDateTime"] < "2026-06-01"}
    assert not {"Patient/p02", "Patient/p10"} & shots, "not done, and not this season"
    born, groups = births_of(fhir), collections.defaultdict(list)
    for p in fhir["Patient"]:
        if "deceasedDateTime" in p or p.get("deceasedBoolean"):
            continue
        key = f"Patient/{p['id']}"
        old = years(born[key], datetime.date(2025, 9, 1)) >= 65 if key in born else None
        groups[{None: "age not known", True: "65 and over", False: "under 65"}[old]].append(key in shots)
    return [(group, sum(who), len(who), sum(who) / len(who)) for group, who in groups.items()]


def allergies(_):
    return [("Penicillin", "high", "Hives, Wheeze"), ("Peanut", "low", "Itching")]


def open_referrals(_):
    """Of five, two have a visit, one was revoked, one is ten days old."""
    return [("ServiceRequest/r15", "Patient/p15", "Practitioner/d4", datetime.datetime(2026, 3, 16), "Reason 15")]


def by_payer(fhir):
    name = {f"Organization/{o['id']}": o["name"] for o in fhir["Organization"]}
    payer = {f"Coverage/{c['id']}": name[c["payor"][0]["reference"]] for c in fhir["Coverage"]}
    totals = collections.defaultdict(list)
    for claim in fhir["Claim"]:
        if claim["status"] == "active":
            focal = next(insurance for insurance in claim["insurance"] if insurance["focal"])
            totals[payer[focal["coverage"]["reference"]]].append(claim["total"]["value"])
    return [(who, "USD", len(amounts), sum(amounts)) for who, amounts in totals.items()]


def given_answers(_):
    rows = []
    for n in (1, 2, 3, 4):
        here = [("smoking", "Do you smoke?", n % 2 == 0)]
        here += [("cigarettes", "How many a day?", 5 * n)] if n % 2 == 0 else []
        here += [("pain", "Where does it hurt?", place) for place in ["Back", "Knee"][: 1 + n % 2]]
        here += [("weight", "Weight", 60.5 + n)]
        rows += [(f"QuestionnaireResponse/q{n}", f"Patient/p{n:02}", *answer) for answer in here]
    return rows


def dangling(_):
    elsewhere = "serviceProvider_key", "Organization/clinic-of-another-town"
    return [("Encounter", "Encounter/v19-0", *elsewhere), ("Encounter", "Encounter/v19-1", *elsewhere),
            ("DiagnosticReport", "DiagnosticReport/dr7", "result_keys", "Observation/not-sent-yet"),
            ("MedicationRequest", "MedicationRequest/m13", "medicationReference_key", "Medication/not-in-the-list")]


def missing(_):
    return [("gender", 1 / 40), ("birthDate", 1 / 40), ("telecom_phone", 13 / 40), ("address_postalCode", 0.0),
            ("usCoreRace_text", 1 / 40)]


def key_of(name):
    """Returns the key that the ledger has for a file of the hospital."""
    return str(pathlib.Path("hospital").resolve() / name)


def loads(fhir):
    return [(key_of(name), "done", count) for name, count in fhir["files"].items()]


def mongosh_patient(_):
    return [("Patient/p12", "Müller")]


def mongosh_loads(fhir):
    return [(key_of(name), count) for name, count in fhir["files"].items()]


def mongosh_report(fhir):
    weight = next(r["valueQuantity"]["value"] for r in fhir["Observation"] if r["id"] == "w03")
    hba1c = next(r["valueQuantity"]["value"] for r in fhir["Observation"] if r["id"] == "a03-0")
    return [("DiagnosticReport/dr3", "Check-up", {("Body weight", float(weight)), ("Hemoglobin A1c", float(hba1c))})]


def mongosh_last_hba1c(fhir):
    return [row[:3] for row in last_hba1c(fhir)]


def mongosh_dangling(_):
    return [("MedicationRequest/m13", "Medication/not-in-the-list")]


# What the page's statements for mongosh return, in the order of the page, and how a document becomes a row.
MONGOSH = [
    (mongosh_patient, lambda found: (found["_id"], found["name_family"])),
    (mongosh_loads, lambda found: (found["key"], found["counts"]["loaded"])),
    (mongosh_report, lambda found: (found["_id"], found["code_text"], {
        (result["code_display"], result["valueQuantity_value"]) for result in found["results"]})),
    (mongosh_last_hba1c, lambda found: (found["_id"], found["at"], found["value"])),
    (mongosh_dangling, lambda found: (found["_id"], found["medicationReference_key"])),
]

# Where an answer of the page has more columns than the question asks for: those that are compared.
COLUMNS = {
    "allergies": ["substance", "criticality", "shows_as"],
    "loads": ["key", "status", "loaded"],
}

# The answers to the 25 questions, by the number of the question.
ANSWERS = {
    1: [by_number], 2: [by_part, without_accents], 3: [by_race], 4: [deaths], 5: [age_at_onset], 6: [last_hba1c],
    7: [high_pressures], 8: [by_month], 9: [units], 10: [latest_labs], 11: [top_diagnoses], 12: [by_doctor],
    13: [stays], 14: [readmissions], 15: [last_encounter], 16: [active_medications], 17: [procedures_by_year],
    18: [coverage], 19: [allergies], 20: [open_referrals], 21: [by_payer], 22: [given_answers], 23: [dangling],
    24: [missing], 25: [loads],
}
BEFORE_THE_QUESTIONS = [stays_by_gender, claim_lines, for_excel]
