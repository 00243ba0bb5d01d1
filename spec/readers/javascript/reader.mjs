// SPDX-License-Identifier: MIT OR Apache-2.0
// The command of CONFORMANCE.md:  node reader.mjs [--repeat N] FILE, or node reader.mjs --stdin

import fs from "node:fs";
import readline from "node:readline";
import { Contended, Image, Refused, document } from "./mmstats.mjs";

// Gives the documents of a file to `say`; returns the exit code.
function read(path, times, say) {
  try {
    const image = Image.open(path);
    for (let n = 0; n < times; n++) {
      say(JSON.stringify(document(image)));
    }
    return 0;
  } catch (error) {
    if (error instanceof Refused) {
      say(JSON.stringify({ refused: error.code }));
      return 1;
    }
    console.error(error.message);
    return error instanceof Contended ? 2 : 3;
  }
}

const words = process.argv.slice(2);
if (words[0] === "--stdin") {
  for await (const path of readline.createInterface({ input: process.stdin })) {
    let said = "";
    const code = read(path, 1, (line) => (said = line));
    fs.writeSync(1, `${code} ${said}\n`);
  }
} else {
  const times = words[0] === "--repeat" ? Number(words[1]) : 1;
  process.exitCode = read(words.at(-1), times, (line) => fs.writeSync(1, line + "\n"));
}
