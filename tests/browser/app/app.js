// An app as its makers write one: the SMART JS client does everything, this shows what it got.
const given = new URLSearchParams(location.search);
const outcome = document.getElementById("outcome");

async function start() {
  const about = await (await fetch("/client.json")).json();
  await FHIR.oauth2.authorize({
    clientId: about.client_id,
    iss: given.get("iss") ?? about.fhir,
    scope: `${given.has("launch") ? "launch" : "launch/patient"} ${about.scope}`,
    redirectUri: "/index.html",
    pkceMode: "required",
  });
}

async function show() {
  const client = await FHIR.oauth2.ready();
  const search = `DiagnosticReport?patient=${client.patient.id}&_count=1`;
  const pages = [];
  await client.request(search, { pageLimit: 0, onPage: (page) => { pages.push(page); } });
  const before = client.state.tokenResponse;
  await client.refresh();
  const after = client.state.tokenResponse;
  const patient = await client.patient.read();
  const person = await client.user.read();
  return {
    patient: client.patient.id,
    family: patient.name[0].family,
    user: client.user.fhirUser,
    person: person.name[0].text,
    reports: pages.flatMap((page) => page.entry.map((entry) => entry.resource.id)),
    pages: pages.length,
    context: after,
    rotated: before.access_token !== after.access_token
      && before.refresh_token !== after.refresh_token,
  };
}

async function run() {
  if (given.has("code") || given.has("error")) {
    return show();
  }
  await start();
  return null;
}

run().then(
  (result) => { outcome.textContent = result ? JSON.stringify(result) : ""; },
  (error) => { outcome.textContent = JSON.stringify({ error: String(error.message ?? error) }); },
);
