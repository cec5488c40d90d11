// Reads a page file with the vendor's own SDK, once for each line on the standard input, and says how
// many nanoseconds of processor time that took. First it says how many records it reads.
//
//     node read_page.js FILE

"use strict";

const fs = require("fs");
const readline = require("readline");

let OnlineResponse;
try {
    OnlineResponse = require("@intacct/intacct-sdk/dist/Xml/OnlineResponse").default;
} catch {
    console.error("there is no Node package @intacct/intacct-sdk");
    process.exit(1);
}

// The SDK is handed a string, so making one is not counted.
const body = fs.readFileSync(process.argv[2], "utf8");
const read = () => new OnlineResponse(body).getResult().data.length;

console.log(read());
readline.createInterface({ input: process.stdin }).on("line", () => {
    const before = process.cpuUsage();
    read();
    const { user, system } = process.cpuUsage(before);
    console.log((user + system) * 1000);
});
