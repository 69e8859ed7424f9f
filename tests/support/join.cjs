// Joins a room without asking for an acknowledgement; prints the first status with a code.
// node join.cjs URL USER_ID
const { io } = require("socket.io-client");

const [url, userId] = process.argv.slice(2);
const socket = io(url);

socket.on("connect", () => socket.emit("join", { user_id: userId }));
socket.on("status", (status) => {
  if (!status.code) return;
  console.log(JSON.stringify(status));
  socket.disconnect();
});
