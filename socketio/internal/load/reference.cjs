// SPDX-License-Identifier: Apache-2.0

// The same app as serve.go's, on npm's reference server.
const http = require("http");
const { Server } = require("socket.io");

const server = http.createServer();
const io = new Server(server);
io.on("connection", (socket) => {
  socket.on("echo", (v, ack) => ack(v));
  socket.on("broadcast", (v) => io.emit("news", v));
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`127.0.0.1:${server.address().port}`);
});
