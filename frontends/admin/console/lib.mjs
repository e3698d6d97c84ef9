// The one place that knows which libraries the console is made with: Preact, its hooks, and htm bound to it.
import { h, render, Fragment } from './vendor/preact.mjs';
import { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useId } from './vendor/hooks.mjs';
import htm from './vendor/htm.mjs';

// Values in a template become text or attributes, never markup: whatever a user put into a name stays a name.
export const html = htm.bind(h);
export { render, Fragment, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useId };
