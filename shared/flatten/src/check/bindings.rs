//! Required bindings whose value sets are small: the codes of all releases together, by type and element.

/// administrative-gender
const GENDERS: &[&str] = &["male", "female", "other", "unknown"];
/// contact-point-use, with STU3's and DSTU2's
const CONTACT_USES: &[&str] = &["home", "work", "temp", "old", "mobile"];
/// contact-point-system
const CONTACT_SYSTEMS: &[&str] = &["phone", "fax", "email", "pager", "url", "sms", "other"];
/// name-use
const NAME_USES: &[&str] = &["usual", "official", "temp", "nickname", "anonymous", "old", "maiden"];
/// address-use
const ADDRESS_USES: &[&str] = &["home", "work", "temp", "old", "billing"];
/// address-type
const ADDRESS_TYPES: &[&str] = &["postal", "physical", "both"];
/// identifier-use
const IDENTIFIER_USES: &[&str] = &["usual", "official", "temp", "secondary", "old"];
/// narrative-status
const NARRATIVE_STATUSES: &[&str] = &["generated", "extensions", "additional", "empty"];
/// quantity-comparator
const COMPARATORS: &[&str] = &["<", "<=", ">=", ">", "ad"];
/// observation-status
const OBSERVATION_STATUSES: &[&str] = &[
    "registered",
    "specimen-in-process",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "appended",
    "cancelled",
    "entered-in-error",
    "unknown",
    "cannot-be-obtained",
];
/// bundle-type
const BUNDLE_TYPES: &[&str] = &[
    "document",
    "message",
    "transaction",
    "transaction-response",
    "batch",
    "batch-response",
    "history",
    "searchset",
    "collection",
    "subscription-notification",
];
/// link-type, with DSTU2's
const LINK_TYPES: &[&str] = &["replaced-by", "replaces", "refer", "seealso", "replace"];

/// Returns the codes that an element may have in some release; none where its value set is large, open or changes with the
/// releases beyond recognition.
#[must_use]
pub fn required_codes(carrier: &str, element: &str) -> Option<&'static [&'static str]> {
    let codes = match (carrier, element) {
        ("Patient" | "Patient.contact" | "Person" | "Practitioner" | "RelatedPerson", "gender") => GENDERS,
        ("ContactPoint", "use") => CONTACT_USES,
        ("ContactPoint", "system") => CONTACT_SYSTEMS,
        ("HumanName", "use") => NAME_USES,
        ("Address", "use") => ADDRESS_USES,
        ("Address", "type") => ADDRESS_TYPES,
        ("Identifier", "use") => IDENTIFIER_USES,
        ("Narrative", "status") => NARRATIVE_STATUSES,
        ("Quantity" | "Age" | "Duration" | "Distance" | "Count", "comparator") => COMPARATORS,
        ("Observation", "status") => OBSERVATION_STATUSES,
        ("Bundle", "type") => BUNDLE_TYPES,
        ("Patient.link", "type") => LINK_TYPES,
        _ => return None,
    };
    Some(codes)
}
