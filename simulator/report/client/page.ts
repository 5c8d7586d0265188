import type { ReportData } from '../model.ts';
import { redrawAll } from './chart.ts';
import { copyButtons } from './copy.ts';
import { element } from './elements.ts';
import { parts } from './parts.ts';
import { plane } from './plane.ts';
import { settings } from './settings.ts';
import { sortableTables } from './tables.ts';
import { themes } from './theme.ts';
import { time } from './time.ts';
import { waits } from './waits.ts';

/** What the report's page does in a browser. */
const data: ReportData = JSON.parse(element('data', HTMLScriptElement).text);

themes(redrawAll);
copyButtons();
sortableTables();
for (const draw of [plane, settings, time, waits, parts]) draw(data);
