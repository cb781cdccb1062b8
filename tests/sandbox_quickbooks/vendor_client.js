// node-quickbooks, unchanged, against the sandbox: node vendor_client.js ADDRESS REALM
// Its addresses are its own static properties. Prints one line of JSON that test_vendor_client_node.py looks at.
const QuickBooks = require("node-quickbooks");

const [, , address, realm] = process.argv;
QuickBooks.V3_ENDPOINT_BASE_URL = `${address}/v3/company/`;
QuickBooks.TOKEN_URL = `${address}/oauth2/v1/tokens/bearer`;
const books = new QuickBooks("sandbox-client", "sandbox-secret", "", false, realm, true, false, 75, "2.0", "sandbox-refresh");

const ask = (name, ...given) => new Promise((resolve, reject) => {
  books[name](...given, (error, answer) => (error ? reject(error) : resolve(answer)));
});
const codes = (error) => (error.response ? error.response.data : error).Fault.Error.map((one) => one.code);
const refused = (work) => work.then(() => "taken", codes);
const line = (amount) => ({
  Amount: amount, DetailType: "SalesItemLineDetail",
  SalesItemLineDetail: { ItemRef: { value: "1" }, Qty: 1, UnitPrice: amount, TaxCodeRef: { value: "NON" } },
});
const linked = (kind, id, amount) => ({ Amount: amount, LinkedTxn: [{ TxnId: id, TxnType: kind }] });

async function main() {
  await ask("refreshAccessToken");
  const ann = await ask("createCustomer", { DisplayName: "Zoë & Søn 日本" });
  const CustomerRef = { value: ann.Id };
  const sale = (DocNumber, amount) => ({ CustomerRef, DocNumber, TxnDate: "2026-03-01", Line: [line(amount)] });
  const invoice = await ask("createInvoice", sale("INV-1", 30));
  const memo = await ask("createCreditMemo", sale("CN-1", 50));
  await ask("createPayment", { CustomerRef, TotalAmt: 0, Line: [linked("Invoice", invoice.Id, 30), linked("CreditMemo", memo.Id, 30)] });
  const detail = { AccountRef: { value: "4" } };
  const out = await ask("createPurchase", {
    PaymentType: "Cash", AccountRef: { value: "12" }, EntityRef: { value: ann.Id, type: "Customer" }, DocNumber: "RF-1",
    Line: [{ Amount: 20, DetailType: "AccountBasedExpenseLineDetail", AccountBasedExpenseLineDetail: detail }],
  });
  await ask("createPayment", { CustomerRef, TotalAmt: 0, Line: [linked("Expense", out.Id, 20), linked("CreditMemo", memo.Id, 20)] });
  const receipt = await ask("createRefundReceipt", { ...sale("RR-1", 7), DepositToAccountRef: { value: "12" } });
  const batch = await ask("batch", [
    { bId: "1", operation: "create", Customer: { DisplayName: "Two" } },
    { bId: "2", operation: "create", Customer: { DisplayName: "Two" } },
    { bId: "3", Query: "select * from Invoice" },
  ]);
  const stale = { Id: ann.Id, SyncToken: "0", sparse: true };
  await ask("updateCustomer", { ...stale, Notes: "pays on time" });
  await ask("deleteRefundReceipt", receipt.Id);
  const since = new Date(Date.now() - 3600 * 1000);
  const captured = await ask("changeDataCapture", ["RefundReceipt", "Customer"], since);
  const all = await ask("findCustomers", [{ field: "DisplayName", value: "%", operator: "LIKE" }, { field: "fetchAll", value: true }, { field: "limit", value: 1 }]);
  console.log(JSON.stringify({
    open: [(await ask("getInvoice", invoice.Id)).Balance, (await ask("getCreditMemo", memo.Id)).RemainingCredit,
           (await ask("getCustomer", ann.Id)).Balance],
    found: (await ask("findInvoices", [{ field: "DocNumber", value: "INV-1" }])).QueryResponse.Invoice.map((one) => one.Id === invoice.Id),
    count: (await ask("findCustomers", { count: true })).QueryResponse.totalCount,
    paged: all.QueryResponse.Customer.map((one) => one.DisplayName).sort(),
    batch: batch.BatchItemResponse.map((one) => (one.Fault ? one.Fault.Error[0].code : Object.keys(one)[0])),
    stale: await refused(ask("updateCustomer", { ...stale, Notes: "late" })),
    twice: await refused(ask("createInvoice", sale("INV-1", 1))),
    gone: await refused(ask("getInvoice", "999999")),
    deleted: captured.CDCResponse[0].QueryResponse[0].RefundReceipt.map((one) => one.status),
    notes: (await ask("getCustomer", ann.Id)).Notes,
    report: (await ask("reportTrialBalance", { end_date: "2026-12-31" })).Header.ReportName,
  }));
}

main().catch((error) => {
  console.error(error.response ? JSON.stringify(error.response.data) : error);
  process.exit(1);
});
