/**
 * The panels that are loaded after the first price: chart, ticket, and the lists below the chart.
 * @module
 */
import "./movers-list.js";
import "./open-trades.js";
import "./order-list.js";
import "./order-ticket.js";
import "./price-chart.js";
import "./trade-history.js";
