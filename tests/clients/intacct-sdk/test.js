// The vendor's Node client, driven against the simulator: node test.js URL
//
// The client takes hosts of intacct.com alone (scheme and port are free), for the address that it
// is given and for the one that a session returns. So the simulator gets a name there, and this
// process looks that one name up itself: the client is not changed.
"use strict";

const assert = require("node:assert/strict");
const dns = require("node:dns");

const NAME = "simulator.intacct.com";
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host === NAME ? "127.0.0.1" : host, ...rest);

const sdk = require("@intacct/intacct-sdk");
const { ResponseException, ResultException } = sdk.Exceptions;
const { Common } = sdk.Functions;
const { NewQuery } = Common;

const gateway = new URL(process.argv[2]);
const truth = gateway.origin;
gateway.hostname = NAME;

const login = (changes) =>
  Object.assign(new sdk.ClientConfig(), {
    endpointUrl: gateway.href,
    senderId: "sim-sender",
    senderPassword: "sim-sender-password",
    companyId: "DEMO",
    userId: "sim-user",
    userPassword: "sim-user-password",
    ...changes,
  });

async function records(object) {
  const response = await fetch(`${truth}/sim/objects/${object}`);
  const text = await response.text();
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** Fields of a record as the client read them, null for empty. */
const read = (record, names) => names.map((name) => record[name] || null);

/** Amounts come with or without the zero before the point, and with up to two places. */
const cents = (text) => {
  const [, sign, whole, part] = /^(-?)(\d*)(?:\.(\d{1,2}))?$/.exec(text);
  return BigInt(sign + (whole || "0") + (part || "").padEnd(2, "0"));
};

const tests = {
  async "opens a session and keeps its endpoint"() {
    const config = await sdk.SessionProvider.factory(login());
    assert.ok(config.sessionId.length > 20);
    assert.equal(config.endpointUrl, gateway.href);
    assert.equal(config.entityId, "");
    assert.equal(config.userId, "sim-user");
    assert.equal(config.companyId, "DEMO");
    assert.ok(Date.parse(config.sessionTimeout) > Date.parse(config.sessionTimestamp));
  },

  async "opens a session of an entity from that one"() {
    const [entity] = await records("LOCATIONENTITY");
    const top = await sdk.SessionProvider.factory(login());
    const first = top.sessionId;
    top.entityId = entity.LOCATIONID;
    const config = await sdk.SessionProvider.factory(top);
    assert.equal(config.entityId, entity.LOCATIONID);
    assert.notEqual(config.sessionId, first);
    const response = await new sdk.OnlineClient(config).execute(vendors(2000, 0));
    assert.equal(response.authentication.entityId, entity.LOCATIONID);
    const owners = [null, entity.LOCATIONID];
    const wanted = (await records("VENDOR")).filter((v) => owners.includes(v.MEGAENTITYID));
    assert.equal(response.getResult().totalCount, wanted.length);
  },

  async "queries with filters and an order, page by page to the end"() {
    const client = await session();
    const names = ["RECORDNO", "VENDORID", "WHENDUE", "TOTALENTERED"];
    const { QueryFilter, QueryOrderBy } = NewQuery;
    const recent = new QueryFilter.Filter("WHENCREATED").greaterThanOrEqualTo("01/01/2025");
    const some = new QueryFilter.Filter("VENDORID").notIn(["V-none", "V-other"]);
    const found = [];
    for (let offset = 0, remaining = 1; remaining > 0; ) {
      const query = new NewQuery.Query()
        .assignSelectFields(fields(names))
        .assignFromObject("APBILL")
        .assignFilter(new QueryFilter.AndOperator([recent, some]))
        .assignOrderBy(new QueryOrderBy.OrderBuilder().addDescending("RECORDNO").orders)
        .assignPageSize(7)
        .assignOffset(offset);
      const result = (await client.execute(query)).getResult();
      assert.equal(result.listType, "APBILL");
      assert.equal(result.count, result.data.length);
      found.push(...result.data);
      offset += result.count;
      remaining = result.numRemaining;
      assert.equal(result.totalCount, found.length + remaining);
    }
    const year = (bill) => Number(bill.WHENCREATED.slice(6));
    const wanted = (await records("APBILL")).filter((bill) => year(bill) >= 2025).reverse();
    assert.ok(wanted.length > 7);
    assert.deepEqual(
      found.map((bill) => read(bill, names)),
      wanted.map((bill) => read(bill, names)),
    );
  },

  async "adds up"() {
    const client = await session();
    const select = new NewQuery.QuerySelect.SelectBuilder()
      .addField("TR_TYPE")
      .addSum("AMOUNT")
      .addCount("RECORDNO").selects;
    const query = new NewQuery.Query().assignSelectFields(select).assignFromObject("GLENTRY");
    const { data } = (await client.execute(query)).getResult();
    const entries = await records("GLENTRY");
    assert.equal(data.length, 2);
    for (const sum of data) {
      const side = entries.filter((entry) => Number(entry.TR_TYPE) === Number(sum.TR_TYPE));
      assert.equal(Number(sum["COUNT.RECORDNO"]), side.length);
      const total = side.reduce((total, entry) => total + cents(entry.AMOUNT), 0n);
      assert.equal(cents(sum["SUM.AMOUNT"]), total);
    }
  },

  async "reads by query and reads more to the end"() {
    const client = await session();
    const first = new Common.ReadByQuery();
    first.objectName = "GLDETAIL";
    first.query = "AMOUNT > 0";
    first.fields = ["RECORDNO", "AMOUNT"];
    first.pageSize = 60;
    let result = (await client.execute(first)).getResult();
    assert.equal(result.listType, "gldetail");
    const found = [...result.data];
    while (result.numRemaining > 0) {
      const next = new Common.ReadMore();
      next.resultId = result.resultId;
      result = (await client.execute(next)).getResult();
      found.push(...result.data);
    }
    assert.equal(found.length, result.totalCount);
    const wanted = (await records("GLDETAIL")).filter((line) => cents(line.AMOUNT) > 0n);
    const numbers = (list) => list.map((line) => line.RECORDNO).sort();
    assert.deepEqual(numbers(found), numbers(wanted));
  },

  async "reads by key and by name"() {
    const client = await session();
    const bill = (await records("APBILL"))[3];
    const byKey = new Common.Read();
    byKey.objectName = "APBILL";
    byKey.keys = [Number(bill.RECORDNO)];
    const [found] = (await client.execute(byKey)).getResult().data;
    assert.equal(found.VENDORNAME, bill.VENDORNAME);
    const items = (await records("APBILLITEM")).filter((line) => line.RECORDKEY === bill.RECORDNO);
    assert.equal([found.APBILLITEMS.apbillitem].flat().length, items.length);
    const byName = new Common.ReadByName();
    byName.objectName = "VENDOR";
    byName.names = [bill.VENDORID, "no such vendor"];
    const vendors = (await client.execute(byName)).getResult();
    assert.equal(vendors.count, 1);
    assert.equal(vendors.data[0].VENDORID, bill.VENDORID);
  },

  async "looks objects up and inspects them"() {
    const client = await session();
    const lookup = new Common.Lookup();
    lookup.objectName = "VENDOR";
    const [type] = (await client.execute(lookup)).getResult().data;
    const [vendor] = await records("VENDOR");
    assert.deepEqual(type.Fields.Field.map((field) => field.ID), Object.keys(vendor));
    const inspect = new Common.Inspect();
    const all = (await client.execute(inspect)).getResult().data;
    const names = Object.keys(await (await fetch(`${truth}/sim/objects`)).json());
    // The gateway's own usage can be queried too, and is no record of the company.
    const shown = [...names, "APIUSAGEDETAIL", "APIUSAGESUMMARY"];
    assert.deepEqual(all.map((type) => type.$.typename).sort(), shown.sort());
    inspect.objectName = "APBILL";
    const [bill] = (await client.execute(inspect)).getResult().data;
    assert.ok(bill.Fields.Field.includes("TOTALENTERED"));
  },

  async "takes several functions in one request"() {
    const client = await session();
    const functions = [vendors(1, 0), query("NOSUCHOBJECT", ["RECORDNO"]), vendors(2, 0)];
    const response = await client.executeBatch(functions);
    assert.deepEqual(response.results.map((result) => result.status), ["success", "failure", "success"]);
    assert.equal(response.getResult(2).count, 2);
    const together = new sdk.RequestConfig();
    together.transaction = true;
    await assert.rejects(client.executeBatch(functions, together), (error) => {
      assert.ok(error instanceof ResultException);
      assert.match(error.errors.join(), /NOSUCHOBJECT[^]*XL03000009/);
      return true;
    });
  },

  async "has an asynchronous request acknowledged"() {
    const client = new sdk.OfflineClient(login());
    const policy = Object.assign(new sdk.RequestConfig(), { policyId: "sim-policy" });
    const response = await client.execute(vendors(1, 0), policy);
    assert.equal(response.status, "success");
    policy.policyId = "another";
    await fails(client.execute(vendors(1, 0), policy), ResponseException, /control/, /XL03000006/);
  },

  async "takes no rows for a result"() {
    const client = await session();
    const nobody = new NewQuery.QueryFilter.Filter("VENDORID").equalTo("nobody");
    const result = (await client.execute(vendors(10, 0).assignFilter(nobody))).getResult();
    assert.equal(result.totalCount, 0);
    assert.equal(result.data.length, 0);
  },

  async "learns of a wrong password"() {
    const wrong = sdk.SessionProvider.factory(login({ userPassword: "wrong" }));
    await fails(wrong, ResponseException, /authentication/, /XL03000006.*Sign-in/);
  },

  async "learns of a wrong sender"() {
    const wrong = sdk.SessionProvider.factory(login({ senderPassword: "wrong" }));
    await fails(wrong, ResponseException, /control/, /XL03000006/);
  },

  async "learns of an unknown field and an unknown object"() {
    const client = await session();
    const field = client.execute(query("VENDOR", ["RECORDNO", "NOSUCHFIELD"]));
    await fails(field, ResultException, /failure/, /DL02000001.*NOSUCHFIELD/);
    const object = client.execute(query("NOSUCHOBJECT", ["RECORDNO"]));
    await fails(object, ResultException, /failure/, /Query Failed.*NOSUCHOBJECT not found/);
  },

  async "learns of the end of its session"() {
    const client = await session();
    await fetch(`${truth}/sim/expire-sessions`, { method: "POST" });
    const late = client.execute(vendors(1, 0));
    await fails(late, ResponseException, /authentication/, /XL03000006 Invalid session/);
  },
};

async function session() {
  return new sdk.OnlineClient(await sdk.SessionProvider.factory(login()));
}

const fields = (names) => new NewQuery.QuerySelect.SelectBuilder().addFields(names).selects;

const query = (object, names) =>
  new NewQuery.Query().assignSelectFields(fields(names)).assignFromObject(object);

const vendors = (size, offset) =>
  query("VENDOR", ["RECORDNO", "VENDORID"]).assignPageSize(size).assignOffset(offset);

async function fails(answer, kind, message, errors) {
  await assert.rejects(answer, (error) => {
    assert.ok(error instanceof kind, `${error}`);
    assert.match(error.message, message);
    assert.match(error.errors.join(), errors);
    return true;
  });
}

(async () => {
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      console.log(`ok: ${name}`);
    } catch (error) {
      console.error(`failed: ${name}\n${error.stack}`);
      process.exitCode = 1;
    }
  }
})();
