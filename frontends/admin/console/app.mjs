// Where the console begins.
import { html, render } from './lib.mjs';

render(html`<main class="alone"><h1>Gatehouse</h1></main>`, document.getElementById('app'));
