// A service that asks a cache and another site before it answers.
import { createServer } from "node:http";
import { connect } from "node:net";

/** One command in Redis' own protocol. */
function cached(command) {
  return new Promise((settle, reject) => {
    const socket = connect(6379, "cache.example.com", () => socket.write(`${command}\r\n`));
    socket.once("data", (answer) => {
      settle(String(answer).trim());
      socket.end();
    });
    socket.once("error", reject);
  });
}

createServer(async (_request, response) => {
  try {
    const site = await fetch("http://www.example.com/");
    response.end(`api ${await cached("PING")} ${await site.text()}`);
  } catch (error) {
    response.statusCode = 502;
    response.end(`${error.message} ${error.cause ?? ""}\n`);
  }
}).listen(3000, () => console.log("ready"));
