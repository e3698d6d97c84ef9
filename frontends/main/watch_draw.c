/* The picture of `status --watch`: plain text and three escape sequences (home, clear to the end of a line, clear what is
 * below). Pure. */
#include "frontends/main/watch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_BYTES 1024
#define BAR 16

struct canvas {
	struct gh_buf *out;
	unsigned row, rows, columns;
};

/* ---- reading a sample ---- */

static double number_at(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const json_t *door_at(const json_t *sample, const char *door)
{
	return json_object_get(json_object_get(sample, "doors"), door);
}

static double doors_sum(const json_t *sample, const char *key)
{
	const char *name;
	json_t *door;
	double sum = 0;

	json_object_foreach (json_object_get(sample, "doors"), name, door)
		sum += number_at(door, key);
	return sum;
}

/* ---- writing ---- */

/* Cut at so many code points; nothing in it can move the cursor. */
static void cut_add(struct gh_buf *out, const char *s, unsigned columns)
{
	for (unsigned at = 0; *s; s++) {
		const unsigned char ch = (unsigned char)*s;

		if ((ch & 0xc0) != 0x80 && at++ == columns)
			return;
		gh_buf_char(out, ch < 0x20 || ch == 0x7f ? '?' : *s);
	}
}

static void line(struct canvas *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void line(struct canvas *v, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (v->row == v->rows)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* The end of the last line would scroll. */
	if (v->row++)
		gh_buf_str(v->out, "\r\n");
	cut_add(v->out, text, v->columns);
	gh_buf_str(v->out, "\x1b[K");
}

struct bytes_text {
	char text[24];
};

static struct bytes_text bytes_text(double n)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	struct bytes_text t;
	unsigned u = 0;

	while (n >= 1024 && u < 4) {
		n /= 1024;
		u++;
	}
	snprintf(t.text, sizeof(t.text), n < 10 && u ? "%.1f %s" : "%.0f %s", n, units[u]);
	return t;
}

/* ---- the parts ---- */

static void head_draw(struct canvas *v, const struct watch_view *w)
{
	const json_t *s = w->sample, *queue = json_object_get(s, "queue");
	const time_t t = (time_t)json_integer_value(json_object_get(s, "t"));
	const char *state = json_string_value(json_object_get(w->status, "state"));
	char when[32] = "-";
	struct tm tm;

	if (t && localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	line(v, "gatehouse  %s  %s   tenants %lld   pending %lld   (q leaves)", state ? state : "?", when,
	     (long long)json_integer_value(json_object_get(w->status, "tenants")),
	     (long long)json_integer_value(json_object_get(w->status, "pending")));
	line(v, "%.0f requests/s   in %s/s   out %s/s   loops %.0f %%", doors_sum(s, "requests"),
	     bytes_text(doors_sum(s, "in_bytes")).text, bytes_text(doors_sum(s, "out_bytes")).text,
	     number_at(json_object_get(s, "cpu"), "loop_busy") * 100);
	line(v, "queue %.0f waiting, oldest %.0f ms   shed %.0f/s   breakers open %.0f", number_at(queue, "waiting"),
	     number_at(queue, "oldest_ms"), number_at(s, "shed"), number_at(s, "breakers_open"));
}

static void doors_draw(struct canvas *v, const json_t *sample)
{
	static const char *const doors[] = { "webdav", "ftp", "rest", "web" };

	line(v, "%s", "");
	line(v, "%-8s %8s %8s %8s %8s %8s %8s %10s %10s %6s", "DOOR", "REQ/S", "REFUSED", "ERRORS", "P50 MS", "P95 MS",
	     "P99 MS", "IN/S", "OUT/S", "CONN");
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
		const json_t *d = door_at(sample, doors[i]);

		line(v, "%-8s %8.0f %8.0f %8.0f %8.1f %8.1f %8.1f %10s %10s %6.0f", doors[i], number_at(d, "requests"),
		     number_at(d, "refused"), number_at(d, "errors"), number_at(d, "p50_ms"), number_at(d, "p95_ms"),
		     number_at(d, "p99_ms"), bytes_text(number_at(d, "in_bytes")).text,
		     bytes_text(number_at(d, "out_bytes")).text, number_at(d, "connections"));
	}
}

static void tenants_draw(struct canvas *v, const json_t *sample)
{
	const json_t *all = json_object_get(sample, "tenants");
	const json_t *t;
	size_t i;

	if (!json_array_size(all))
		return;
	line(v, "%s", "");
	line(v, "%-24s %-*s %5s %8s %10s %8s %8s", "TENANT", BAR, "SHARE", "", "REQ/S", "BYTES/S", "WAIT MS", "SHED/S");
	json_array_foreach ((json_t *)all, i, t) {
		const char *name = json_string_value(json_object_get(t, "tenant"));
		const double share = number_at(t, "share");
		const unsigned full = share >= 1 ? BAR : (unsigned)(share * BAR + 0.5);
		char bar[BAR + 1];

		memset(bar, '.', BAR);
		memset(bar, '#', full);
		bar[BAR] = 0;
		line(v, "%-24.64s %s %3.0f %% %8.0f %10s %8.1f %8.0f", name ? name : "?", bar, share * 100,
		     number_at(t, "requests"), bytes_text(number_at(t, "bytes")).text, number_at(t, "wait_ms"),
		     number_at(t, "shed"));
	}
}

/* An item of a list as words, whatever its members: "mode=off message=..." without its id. */
static void words_of(const json_t *item, struct gh_buf *b)
{
	const char *key;
	json_t *m;

	json_object_foreach ((json_t *)item, key, m) {
		if (!strcmp(key, "id") || json_is_null(m) || (json_is_string(m) && !json_string_length(m)))
			continue;
		if (json_is_string(m))
			gh_buf_printf(b, " %s=%.80s", key, json_string_value(m));
		else if (json_is_integer(m))
			gh_buf_printf(b, " %s=%" JSON_INTEGER_FORMAT, key, json_integer_value(m));
		else if (json_is_boolean(m))
			gh_buf_printf(b, " %s=%s", key, json_is_true(m) ? "yes" : "no");
		else if (json_is_array(m)) {
			gh_buf_printf(b, " %s=", key);
			for (size_t i = 0; i < json_array_size(m); i++)
				gh_buf_printf(b, "%s%.40s", i ? "," : "",
					      json_is_string(json_array_get(m, i)) ? json_string_value(json_array_get(m, i)) : "?");
		}
	}
}

static void list_draw(struct canvas *v, const char *title, const json_t *items)
{
	const json_t *item;
	size_t i;

	if (!json_array_size(items))
		return;
	line(v, "%s", "");
	line(v, "%s", title);
	json_array_foreach ((json_t *)items, i, item) {
		struct gh_buf b;

		gh_buf_init(&b, LINE_MAX_BYTES);
		words_of(item, &b);
		line(v, "%s", b.len ? b.data : "");
		gh_buf_fini(&b);
	}
}

void watch_draw(const struct watch_view *w, struct gh_buf *out)
{
	struct canvas v = { .out = out, .rows = w->rows ? w->rows : 1, .columns = w->columns ? w->columns : 1 };

	gh_buf_str(out, "\x1b[H");
	if (!w->sample) {
		line(&v, "gatehouse   waiting for the first second");
	} else {
		head_draw(&v, w);
		doors_draw(&v, w->sample);
		list_draw(&v, "SWITCHES", w->switches);
		list_draw(&v, "BREAKERS", w->breakers);
		tenants_draw(&v, w->sample);
	}
	gh_buf_str(out, "\x1b[J");
}

void watch_line(const json_t *s, struct gh_buf *out)
{
	const json_t *queue = json_object_get(s, "queue"), *busiest = json_array_get(json_object_get(s, "tenants"), 0);
	const char *name = json_string_value(json_object_get(busiest, "tenant"));

	gh_buf_printf(out, "t=%lld requests=%.0f refused=%.0f errors=%.0f in_bytes=%.0f out_bytes=%.0f shed=%.0f queue=%.0f"
		      " oldest_ms=%.0f breakers_open=%.0f loops=%.2f",
		      (long long)json_integer_value(json_object_get(s, "t")), doors_sum(s, "requests"), doors_sum(s, "refused"),
		      doors_sum(s, "errors"), doors_sum(s, "in_bytes"), doors_sum(s, "out_bytes"), number_at(s, "shed"),
		      number_at(queue, "waiting"), number_at(queue, "oldest_ms"), number_at(s, "breakers_open"),
		      number_at(json_object_get(s, "cpu"), "loop_busy"));
	if (name)
		gh_buf_printf(out, " busiest=%.64s share=%.2f", name, number_at(busiest, "share"));
}
