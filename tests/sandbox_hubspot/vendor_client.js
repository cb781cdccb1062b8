// HubSpot's own Node client, unchanged, against the sandbox: node vendor_client.js ADDRESS TOKEN
// Prints one line of JSON that test_vendor_client_node.py looks at.
const { Client } = require("@hubspot/api-client");

async function main() {
  const [, , basePath, accessToken] = process.argv;
  const crm = new Client({ basePath, accessToken }).crm;
  const inputs = [...Array(12).keys()].map((n) => ({
    properties: { name: `Company ${n}` }, associations: [], objectWriteTraceId: String(n),
  }));
  const made = await crm.companies.batchApi.create({ inputs });
  const first = await crm.companies.basicApi.getPage(10, undefined, ["name"]);
  const second = await crm.companies.basicApi.getPage(10, first.paging.next.after, ["name"]);
  const deal = await crm.deals.basicApi.create({ properties: { dealname: "D", amount: "0.123456789012345678" }, associations: [] });
  await crm.associations.v4.basicApi.createDefault("deals", deal.id, "companies", made.results[0].id);
  const read = await crm.deals.basicApi.getById(deal.id, ["amount"], undefined, ["companies"]);
  const found = await crm.companies.searchApi.doSearch({
    filterGroups: [{ filters: [{ propertyName: "name", operator: "EQ", value: "company 3" }] }],
    properties: ["name"], limit: 10, after: "0", sorts: ["name"],
  });
  const upserted = await crm.contacts.batchApi.upsert({
    inputs: [{ id: "ann@example.com", idProperty: "email", properties: { firstname: "Ann" } }],
  });
  let conflict = [];
  try {
    await crm.contacts.basicApi.create({ properties: { email: "ann@example.com" }, associations: [] });
  } catch (error) {
    conflict = [error.code, error.body.category];
  }
  const mixed = await crm.companies.batchApi.update({
    inputs: [{ id: made.results[0].id, properties: { name: "New" } }, { id: "999999", properties: { name: "None" } }],
  });
  const partly = [mixed.numErrors === undefined ? 200 : 207, mixed.results.length, mixed.numErrors];
  await crm.deals.basicApi.archive(deal.id);
  let gone = 0;
  try {
    await crm.deals.basicApi.getById(deal.id);
  } catch (error) {
    gone = error.code;
  }
  console.log(JSON.stringify({
    made: made.results.length, pages: [first.results.length, second.results.length], amount: read.properties.amount,
    linked: read.associations.companies.results.length, found: found.total, isNew: upserted.results[0]._new, conflict, partly,
    gone,
  }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
