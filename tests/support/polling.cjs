// Subscribes by polling to symbols, one event each, as it connects; prints the acknowledgements.
// node polling.cjs URL TOKEN SYMBOL...
const { io } = require("socket.io-client");

const [url, token, ...symbols] = process.argv.slice(2);
const socket = io(url, { auth: { token }, transports: ["polling"], reconnection: false });
const answers = [];

socket.on("connect", () => {
  for (const symbol of symbols) {
    socket.emit("subscribe", { symbols: [symbol] }, (answer) => {
      answers.push(answer);
      if (answers.length < symbols.length) return;
      console.log(JSON.stringify(answers));
      socket.disconnect();
    });
  }
});
socket.on("connect_error", (error) => console.error(error.message));
socket.on("disconnect", (reason) => console.error(reason));
