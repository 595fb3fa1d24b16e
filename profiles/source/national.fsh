// The source of the profiles: README.md says how the JSON beside it is made.

Alias: $v2-0074 = http://terminology.hl7.org/CodeSystem/v2-0074
Alias: $v2-0203 = http://terminology.hl7.org/CodeSystem/v2-0203
Alias: $sct = http://snomed.info/sct
Alias: $scotland = https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryScotland
Alias: $england = https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryEngland
Alias: $ethnic-category = https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory
Alias: $genomic-report = http://hl7.org/fhir/uv/genomics-reporting/StructureDefinition/genomic-report

Invariant: national-chi
Description: "A CHI number is ten digits; a leading zero is a digit like any other"
Expression: "value.matches('^[0-9]{10}$')"
Severity: #error

Invariant: national-person
Description: "A patient whose record is in use should have a name and a date of birth"
Expression: "active = false or (name.exists() and birthDate.exists())"
Severity: #warning

Profile: NationalPatient
Parent: Patient
Id: national-patient
Title: "Patient of the national genomic service"
Description: "A person known by CHI number, or by another identifier where there is none, with the Scottish ethnic category."
* ^version = "0.1.0"
* obeys national-person
* extension contains $ethnic-category named ethnicCategory 0..1
* extension[ethnicCategory].value[x] 1..1
* extension[ethnicCategory].value[x] only CodeableConcept
* extension[ethnicCategory].valueCodeableConcept.coding ^slicing.discriminator.type = #value
* extension[ethnicCategory].valueCodeableConcept.coding ^slicing.discriminator.path = "system"
* extension[ethnicCategory].valueCodeableConcept.coding ^slicing.rules = #open
* extension[ethnicCategory].valueCodeableConcept.coding contains scotland 1..1 and england 0..1
* extension[ethnicCategory].valueCodeableConcept.coding[scotland] from ScottishEthnicCategory (required)
* extension[ethnicCategory].valueCodeableConcept.coding[scotland].system 1..1
* extension[ethnicCategory].valueCodeableConcept.coding[scotland].system = $scotland
* extension[ethnicCategory].valueCodeableConcept.coding[scotland].code 1..1
* extension[ethnicCategory].valueCodeableConcept.coding[england].system 1..1
* extension[ethnicCategory].valueCodeableConcept.coding[england].system = $england
* identifier 1..*
* identifier.value 1..1
* identifier ^slicing.discriminator.type = #value
* identifier ^slicing.discriminator.path = "system"
* identifier ^slicing.rules = #open
* identifier contains chi 0..1 and nhsNumber 0..1
* identifier[chi].type 1..1
* identifier[chi].type = $v2-0203#NH
* identifier[chi].system 1..1
* identifier[chi].system = "urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53"
* identifier[chi] obeys national-chi
* identifier[nhsNumber].system 1..1
* identifier[nhsNumber].system = "https://fhir.nhs.uk/Id/nhs-number"

ValueSet: ScottishEthnicCategory
Id: scottish-ethnic-category
Title: "Scottish ethnic category"
Description: "The codes of the Scottish ethnic category, written out because their code system is marked retired."
* ^version = "0.1.0"
* ^experimental = false
* $scotland#1A
* $scotland#1B
* $scotland#1C
* $scotland#1K
* $scotland#1L
* $scotland#1Z
* $scotland#2A
* $scotland#3F
* $scotland#3G
* $scotland#3H
* $scotland#3J
* $scotland#3Z
* $scotland#4D
* $scotland#4Y
* $scotland#5C
* $scotland#5D
* $scotland#5Y
* $scotland#6A
* $scotland#6Z
* $scotland#98
* $scotland#99

Profile: NationalLaboratory
Parent: Organization
Id: national-laboratory
Title: "Laboratory of the national genomic service"
Description: "A reporting laboratory, known by its ODS code."
* ^version = "0.1.0"
* identifier 1..*
* identifier ^slicing.discriminator.type = #value
* identifier ^slicing.discriminator.path = "system"
* identifier ^slicing.rules = #open
* identifier contains ods 1..1
* identifier[ods].system 1..1
* identifier[ods].system = "https://fhir.nhs.uk/Id/ods-organization-code"
* identifier[ods].value 1..1
* name 1..1

Profile: NationalSpecimen
Parent: Specimen
Id: national-specimen
Title: "Specimen of the national genomic service"
Description: "What was tested, and of which patient."
* ^version = "0.1.0"
* identifier.value 1..1
* subject 1..1
* subject only Reference(NationalPatient)
* parent only Reference(NationalSpecimen)
* collection.collected[x] only dateTime

Profile: NationalOrder
Parent: ServiceRequest
Id: national-order
Title: "Order of a genomic test"
Description: "Which test is asked for, by whom and for which patient."
* ^version = "0.1.0"
* identifier ^slicing.discriminator.type = #pattern
* identifier ^slicing.discriminator.path = "type"
* identifier ^slicing.rules = #open
* identifier contains placer 0..1 and filler 0..1
* identifier[placer].type 1..1
* identifier[placer].type = $v2-0203#PLAC
* identifier[placer].value 1..1
* identifier[filler].type 1..1
* identifier[filler].type = $v2-0203#FILL
* identifier[filler].value 1..1
* code 1..1
* code.coding.system 1..1
* code.coding.code 1..1
* subject only Reference(NationalPatient)
* requester 1..1
* requester only Reference(Practitioner or PractitionerRole or Organization)
* specimen only Reference(NationalSpecimen)

Profile: NationalReport
Parent: $genomic-report
Id: national-report
Title: "National genomic report"
Description: "A Genomics Reporting report that is also a laboratory report: it says whose it is and which laboratory made it."
* ^version = "0.1.0"
* category 2..*
* category contains laboratory 1..1
* category[laboratory].coding 1..1
* category[laboratory].coding = $v2-0074#LAB
* code ^patternCodeableConcept.coding[1] = $sct#1054161000000101
* subject 1..1
* subject only Reference(NationalPatient)
* performer 1..*
* performer only Reference(NationalLaboratory)
* specimen only Reference(NationalSpecimen)
* basedOn only Reference(ServiceRequest)
* presentedForm.contentType 1..1
