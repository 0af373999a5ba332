// SPDX-License-Identifier: Apache-2.0

// The app of app.go on the reference server. It prints its port and serves until
// its standard input ends.
const http = require("http");
const { Server } = require("socket.io");

const recovery = process.argv[2] === "recovery";
const server = http.createServer();
const io = new Server(server, {
  pingInterval: 500,
  pingTimeout: 3000,
  ...(recovery ? { connectionStateRecovery: { skipMiddlewares: false } } : {}),
});

const reasons = [];
function serve(nsp) {
  nsp.on("connection", (socket) => {
    socket.emit("welcome", socket.handshake.auth.name ?? null, socket.recovered);
    socket.on("disconnecting", (reason) => {
      reasons.push([reason, ...[...socket.rooms].filter((room) => room !== socket.id).sort()].join(" "));
    });
    socket.on("join", (room, ack) => {
      socket.join(room);
      ack(socket.rooms.size);
    });
    socket.on("leave", (room, ack) => {
      socket.leave(room);
      ack(socket.rooms.size);
    });
    socket.on("all", (text) => nsp.emit("said", "all", text));
    socket.on("room", (room, text) => nsp.to(room).emit("said", room, text));
    socket.on("others", (text) => socket.broadcast.emit("said", "others", text));
    socket.on("except", (room, text) => nsp.except(room).emit("said", "except " + room, text));
    socket.on("others in", (room, text) => socket.to(room).emit("said", "others in " + room, text));
    socket.on("echo", (...args) => args.pop()(...args));
    socket.on("back", (...args) => socket.emit("back", ...args));
    socket.on("relay", (v) => nsp.emit("relayed", v));
    socket.on("relay as it is", (v) => nsp.emit("relayed", v, Buffer.from("beside")));
    socket.on("ask", async (question, ack) => ack(await socket.emitWithAck("question", question)));
    socket.on("kick", () => socket.disconnect());
    socket.on("close", () => socket.disconnect(true));
    socket.on("reasons", (ack) => ack(reasons.splice(0)));
  });
}
io.use((socket, next) => {
  if (socket.handshake.auth.token === "bad") {
    const err = new Error("not authorized");
    err.data = { code: 7, retry: false };
    return next(err);
  }
  if (socket.handshake.auth.token === "plain") {
    return next(new Error("not at all"));
  }
  next();
});
serve(io.of("/"));
serve(io.of("/admin"));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
