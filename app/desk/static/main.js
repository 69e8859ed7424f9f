/**
 * The start of the desk: defines its elements and restores the session.
 * @module
 */
import { start } from "./account.js";
import "./desk-app.js";
import { restoreTheme } from "./theme.js";

restoreTheme();
start();
// Only over https, or on this machine.
void navigator.serviceWorker?.register("/desk/service-worker.js", { scope: "/" }).catch(() => {});
