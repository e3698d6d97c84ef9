/* Small things that all doors share: entity tags, content types, address prefixes. */
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "core/house.h"

void vfs_etag(char *out, uint64_t version)
{
	static const char hex[] = "0123456789abcdef";
	out[0] = '"';
	for (unsigned i = 0; i < 16; i++)
		out[1 + i] = hex[version >> (60 - 4 * i) & 15];
	out[17] = '"';
	out[18] = '\0';
}

/* What browsers and drive clients act on; everything else is bytes. Sorted by extension. */
static const struct {
	const char *ext, *type;
} types[] = {
	{ "7z", "application/x-7z-compressed" },
	{ "avi", "video/x-msvideo" },
	{ "avif", "image/avif" },
	{ "bmp", "image/bmp" },
	{ "c", "text/plain" },
	{ "conf", "text/plain" },
	{ "css", "text/css" },
	{ "csv", "text/csv" },
	{ "doc", "application/msword" },
	{ "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
	{ "eml", "message/rfc822" },
	{ "epub", "application/epub+zip" },
	{ "flac", "audio/flac" },
	{ "gif", "image/gif" },
	{ "gz", "application/gzip" },
	{ "h", "text/plain" },
	{ "heic", "image/heic" },
	{ "htm", "text/html" },
	{ "html", "text/html" },
	{ "ico", "image/vnd.microsoft.icon" },
	{ "ics", "text/calendar" },
	{ "ini", "text/plain" },
	{ "jpeg", "image/jpeg" },
	{ "jpg", "image/jpeg" },
	{ "js", "text/javascript" },
	{ "json", "application/json" },
	{ "log", "text/plain" },
	{ "m4a", "audio/mp4" },
	{ "md", "text/markdown" },
	{ "mjs", "text/javascript" },
	{ "mkv", "video/x-matroska" },
	{ "mov", "video/quicktime" },
	{ "mp3", "audio/mpeg" },
	{ "mp4", "video/mp4" },
	{ "mpeg", "video/mpeg" },
	{ "odp", "application/vnd.oasis.opendocument.presentation" },
	{ "ods", "application/vnd.oasis.opendocument.spreadsheet" },
	{ "odt", "application/vnd.oasis.opendocument.text" },
	{ "ogg", "audio/ogg" },
	{ "pdf", "application/pdf" },
	{ "png", "image/png" },
	{ "ppt", "application/vnd.ms-powerpoint" },
	{ "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
	{ "rtf", "application/rtf" },
	{ "svg", "image/svg+xml" },
	{ "tar", "application/x-tar" },
	{ "tif", "image/tiff" },
	{ "tiff", "image/tiff" },
	{ "txt", "text/plain" },
	{ "vcf", "text/vcard" },
	{ "wav", "audio/wav" },
	{ "webm", "video/webm" },
	{ "webp", "image/webp" },
	{ "xls", "application/vnd.ms-excel" },
	{ "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
	{ "xml", "application/xml" },
	{ "yaml", "application/yaml" },
	{ "yml", "application/yaml" },
	{ "zip", "application/zip" },
};

const char *vfs_content_type(const char *name)
{
	const char *dot = strrchr(name, '.');
	unsigned lo = 0, hi = sizeof(types) / sizeof(types[0]);
	while (dot && lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;
		const int cmp = strcasecmp(dot + 1, types[mid].ext);
		if (cmp == 0)
			return types[mid].type;
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return "application/octet-stream";
}

uint64_t vfs_peer_prefix(const struct sockaddr *sa)
{
	uint64_t prefix = 0;
	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr);
	if (sa->sa_family != AF_INET6)
		return 0;
	const struct in6_addr *a = &((const struct sockaddr_in6 *)sa)->sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(a)) {
		for (unsigned i = 12; i < 16; i++)
			prefix = prefix << 8 | a->s6_addr[i];
		return prefix;
	}
	for (unsigned i = 0; i < 8; i++)
		prefix = prefix << 8 | a->s6_addr[i];
	return prefix | 1ull << 63; /* no IPv4 address looks like this */
}
