/* See ascii.h. */
#include "frontends/ftp/ascii.h"

size_t ftp_ascii_in(struct ftp_ascii *a, char *out, const char *in, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = in[i];

		if (a->cr && c != '\n')
			out[n++] = '\r';
		a->cr = c == '\r';
		if (!a->cr)
			out[n++] = c;
	}
	return n;
}

size_t ftp_ascii_in_end(struct ftp_ascii *a, char *out)
{
	if (!a->cr)
		return 0;
	a->cr = false;
	out[0] = '\r';
	return 1;
}

size_t ftp_ascii_out(struct ftp_ascii *a, char *out, const char *in, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = in[i];

		if (c == '\n' && !a->cr)
			out[n++] = '\r';
		out[n++] = c;
		a->cr = c == '\r';
	}
	return n;
}
