/** The types that the desk's modules share. They follow /openapi.json, which describes each field. */

type Side = "BUY" | "SELL";
type OrderType = "MARKET" | "LIMIT" | "STOP" | "STOP_LIMIT";
type TimeInForce = "DAY" | "GTC" | "IOC";
type Tab = "trades" | "orders" | "history" | "movers" | "account";
type View = "watch" | "chart" | "ticket" | "trades" | "account";

interface DeskUser {
  clientId: string;
}

interface DeskState {
  user: DeskUser | null;
  /** Whether prices and events arrive. `connectionSince` is when that began, in ms since 1970. */
  connection: "connecting" | "open" | "lost";
  connectionSince: number;
  market: MarketStatus | null;
  portfolio: Portfolio | null;
  portfolioName: string;
  /** Trades that are PENDING or ACTIVE, by id, newest first. */
  trades: Map<string, Trade>;
  instruments: Map<string, Instrument>;
  /** The alerts that wait. */
  alerts: PriceAlert[];
  /** The number of unread notifications. */
  unread: number;
  lists: WatchList[];
  listId: string | null;
  /** The symbol that chart and ticket show. */
  symbol: string;
  ticket: TicketRequest;
  tab: Tab;
  /** What a phone shows. */
  view: View;
  theme: "system" | "light" | "dark";
  /** Never set: touched every few seconds, for elements that show an age. */
  clock: null;
}

/** What opens the ticket: a side, and levels if a gesture chose them. */
interface TicketRequest {
  side: Side;
  isOpen: boolean;
  orderType?: OrderType;
  quantity?: number;
  limitPrice?: number;
  stopPrice?: number;
  stopLoss?: number;
  targetPrice?: number;
}

interface Quote {
  symbol: string;
  price: number;
  timestamp: string;
  source: string;
  previous_close?: number;
  change?: number;
  change_pct?: number;
  bid?: number;
  ask?: number;
  open?: number;
  high?: number;
  low?: number;
  volume?: number;
  delayed?: boolean;
  /** Its age in seconds when the server sent it. */
  age?: number;
  /** When it was made, by the clock of this machine, in ms since 1970. */
  madeAt: number;
  /** 1 if the price rose with this quote, -1 if it fell, 0 if it stayed. */
  direction: number;
}

interface Instrument {
  symbol: string;
  name: string;
  exchange: string;
  tick_size: number;
  lot_size: number;
  sector?: string;
}

/** A share that moved, as GET /market/movers shows it. */
interface Mover {
  symbol: string;
  name: string;
  sector?: string;
  price: number;
  change?: number;
  change_pct?: number;
  volume?: number;
}

interface Movers {
  gainers: Mover[];
  losers: Mover[];
  most_active: Mover[];
  /** The number of shares that were compared. */
  watched: number;
}

interface WatchList {
  watchlist_id: string;
  name: string;
  symbols: string[];
}

interface MarketStatus {
  open: boolean;
  session: string;
  next_open: string;
  next_close: string;
  enforced: boolean;
}

interface Portfolio {
  portfolio_id: string;
  user_id: string;
  name: string;
  available_margin: number;
  utilized_margin: number;
  total_pnl: number;
  initial_margin: number;
  deposits: number;
  withdrawals: number;
  season: number;
  fill_profile: string;
  season_started_at: string;
  last_updated: string;
}

interface Trade {
  trade_id: string;
  portfolio: string;
  symbol: string;
  trade_type: Side;
  quantity: number;
  open_quantity: number;
  entry_price: number | null;
  stop_loss: number | null;
  target_price: number | null;
  trailing_offset: number | null;
  trailing_pct: number | null;
  trailing_step: number | null;
  /** Where a trailing stop is now; null before its first price. */
  trailing_stop?: number | null;
  status: string;
  created_at: string;
  margin_used: number;
  exit_price: number | null;
  pnl: number | null;
  closed_at: string | null;
  exit_reason: string | null;
  end_reason: string | null;
  last_price: number | null;
  price_time: string | null;
  stale: boolean | null;
  unrealized_pnl: number | null;
  order_type: OrderType;
  limit_price: number | null;
  stop_price: number | null;
  time_in_force: TimeInForce | null;
  expires_at: string | null;
  queued_for: string | null;
  triggered_at: string | null;
  oco_id: string | null;
  fill_profile: string;
  exit_queued: { quantity: number; queued_for: string } | null;
  version: number;
}

/** A price alert as the API shows it. */
interface PriceAlert {
  alert_id: string;
  symbol: string;
  above: number | null;
  below: number | null;
  status: string;
  created_at: string;
}

interface Fill {
  kind: "entry" | "exit";
  quantity: number;
  price: number;
  time: string;
  quote: { price: number; source: string; timestamp: string };
  rule: string | null;
  reason: string | null;
  pnl: number | null;
  settled_from: string | null;
  best: { price: number; time: string } | null;
  slippage: number;
}

/** What a corporate action changed about a trade. */
interface Adjustment {
  kind: string;
  ex_date: string;
  ratio: string | null;
  amount: number | null;
  quantity_before: number;
  quantity: number;
  entry_price_before: number | null;
  entry_price: number | null;
  pnl: number;
}

interface TradeDetail extends Trade {
  fills: Fill[];
  adjustments: Adjustment[];
}

/** An order as POST /trades/create takes it. */
interface OrderBody {
  symbol: string;
  trade_type: Side;
  quantity: number;
  order_type: OrderType;
  time_in_force?: TimeInForce;
  limit_price?: number;
  stop_price?: number;
  stop_loss?: number;
  target_price?: number;
  trailing_offset?: number;
  trailing_pct?: number;
  portfolio?: string;
}

interface Problem {
  error: string;
  code: string;
  details: Record<string, unknown>;
}

interface Preview {
  symbol: string | null;
  quote: { price: number; source: string; timestamp: string } | null;
  queued_for: string | null;
  entry_price: number | null;
  margin_required: number | null;
  total_charges: number;
  charges: { name: string; amount: number }[];
  available_margin: number;
  available_margin_after: number | null;
  loss_at_stop: number | null;
  reward_at_target: number | null;
  reward_risk_ratio: number | null;
  break_even_price: number | null;
  fill_profile: string;
  problems: Problem[];
  warnings: { code: string; message: string }[];
}

/** An event of the user's room: see docs/events.md. */
interface TradeUpdate {
  event: string;
  data: Record<string, any>;
  seq: number;
}

/** One movement of money. */
interface Activity {
  activity_id: string;
  kind: string;
  amount: number;
  balance: number;
  time: string;
  trade_id: string | null;
  symbol: string | null;
}

/** The results of a season, in rupees and per cent. */
interface Statistics {
  closed_trades: number;
  win_rate_pct: number | null;
  profit_factor: number | null;
  expectancy: number | null;
  average_win: number | null;
  average_loss: number | null;
  largest_win: number | null;
  largest_loss: number | null;
  total_pnl: number;
  longest_winning_streak: number;
  longest_losing_streak: number;
  max_drawdown: number;
  max_drawdown_pct: number | null;
  sharpe_ratio: number | null;
  by_day: { day: string; pnl: number; closed_trades: number; winning_trades: number }[];
}

interface Profile {
  client_id: string;
  name: string;
  email: string;
  email_confirmed: boolean;
  pending_email: string | null;
  phone: string;
  phone_confirmed: boolean;
  totp_enabled: boolean;
  created_at: string;
}

interface Session {
  id: string;
  device: string;
  address: string;
  last_used_at: string;
  is_current: boolean;
}

interface ApiKey {
  key_id: string;
  name: string;
  scopes: string[];
  last4: string;
  created_at: string;
  last_used_at: string | null;
}

/** An address that events are posted to. */
interface Webhook {
  webhook_id: string;
  url: string;
  /** The types that are posted, null for all. */
  events: string[] | null;
  description: string;
  enabled: boolean;
  failing_since: string | null;
  next_attempt_at: string | null;
  disabled_reason: string | null;
}

/** An event in words, as GET /notifications shows it. */
interface DeskNotification {
  id: string;
  type: string;
  message: string;
  data: Record<string, unknown>;
  seq: number;
  is_read: boolean;
  created_at: string;
}

interface Toast {
  kind: "info" | "success" | "error";
  text: string;
  /** An action that the toast offers, such as "Undo". */
  action?: { label: string; run: () => void };
}
