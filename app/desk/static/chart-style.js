/**
 * The styles of the chart.
 * @module
 */
import { css } from "./element.js";

export const style = css`
  :host {
    display: flex;
    flex-direction: column;
    min-height: 0;
    background: var(--panel);
    font-family: var(--font);
  }
  :host([wide]) {
    position: fixed;
    z-index: 30;
    inset: 0;
  }
  .area {
    position: relative;
    flex: 1;
    min-height: 0;
    overflow: hidden;
  }
  .canvas {
    position: absolute;
    inset: 0;
  }
  .levels {
    position: absolute;
    inset: 0 auto auto 0;
  }
  chart-level[beyond] {
    opacity: 0.75;
  }
  .empty {
    position: absolute;
    inset: 40% 0 auto;
  }
`;
