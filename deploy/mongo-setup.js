// Run by mongosh as the administrator: makes the replica set, and the user of the server, unless
// they exist.
try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] });
}
while (!db.hello().isWritablePrimary) sleep(200);

const trading = db.getSiblingDB("paper_trading");
if (trading.getUser("paper_trading") === null) {
  // dbAdmin: the server changes the age at which an index expires its documents.
  trading.createUser({
    user: "paper_trading",
    pwd: process.env.MONGO_PASSWORD,
    roles: ["readWrite", "dbAdmin"],
  });
}
