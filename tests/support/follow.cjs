// Follows one user's events with Node's client; prints each one as a line of JSON.
// node follow.cjs URL USER_ID TOKEN
const { io } = require("socket.io-client");

const [url, userId, token] = process.argv.slice(2);
let seen = 0;

const socket = io(url, {
  auth: { token },
  transports: ["websocket"],
  reconnectionDelay: 100,
  reconnectionDelayMax: 500,
});

function join() {
  socket.emit("join", { user_id: userId, since: seen }, (answer) => {
    // During an outage of the database, retry; a disconnected socket joins when it reconnects.
    if (!answer.ok && socket.connected) setTimeout(join, 200);
  });
}

socket.on("connect", join);
socket.on("trade_update", (update) => {
  seen = update.seq;
  console.log(JSON.stringify(update));
});
