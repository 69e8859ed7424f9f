/**
 * The styles of sections below each other.
 * @module
 */
import { css } from "./element.js";

export const sectionStyles = css`
  section {
    max-width: 860px;
    margin-bottom: 28px;
  }
  section > h2 {
    margin-bottom: 8px;
  }
  section > form,
  section > button,
  section > p {
    margin-top: 10px;
  }
  section > :is(div, p):has(table) {
    overflow-x: auto;
  }
`;
