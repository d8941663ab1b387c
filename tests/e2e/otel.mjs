// A service called checkout that exports its metrics three times and says how that went.
//   node otel.mjs http|proto URL
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { resourceFromAttributes } from '@opentelemetry/resources';

const [kind, url] = process.argv.slice(2);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${kind}`);

const said = { exports: 0, failed: 0, errors: [] };
const exporter = new OTLPMetricExporter({ url: `${url}/v1/metrics`, compression: 'gzip' });
const real = exporter.export.bind(exporter);
exporter.export = (metrics, done) => real(metrics, (result) => {
  said.exports += 1;
  if (result.code !== 0) {
    said.failed += 1;
    said.errors.push(String(result.error));
  }
  done(result);
});

const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3600000 });
const provider = new MeterProvider({
  resource: resourceFromAttributes({ 'service.name': 'checkout', 'host.name': 'a' }),
  readers: [reader],
});
const meter = provider.getMeter('e2e');
const orders = meter.createCounter('orders');
const depth = meter.createGauge('queue_depth');
const duration = meter.createHistogram('order_duration', { unit: 's' });
for (let i = 0; i < 3; i += 1) {
  orders.add(5, { kind: 'card' });
  depth.record(7);
  duration.record(0.2 * (i + 1));
  await reader.forceFlush();
}
await reader.shutdown().catch(() => {});
said.exports -= 1; // the shutdown's own
console.log(JSON.stringify(said));
