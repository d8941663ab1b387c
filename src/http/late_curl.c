/* late_curl - libcurl, loaded when it is first called.
 *
 * Good for     a daemon that nobody made scrape or send on, and for verbs that talk to no server:
 *              libcurl and the thirty libraries behind it (TLS, Kerberos, LDAP, SSH) are 3 MB of
 *              resident memory and most of the time to start.
 * Method       these are libcurl's own functions, for callers that include <curl/curl.h> as ever,
 *              with its checks of types; each finds its counterpart in the library once.
 * Errors       without the library: as if libcurl could not be initialised, and
 *              curl_easy_strerror() says why.
 * Threads      any.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

/* Result, name, parameters, arguments, what is returned without the library. */
#define LATE_MAP(X)                                                                               \
    X(CURLcode, curl_global_init, (long a), (a), CURLE_FAILED_INIT)                               \
    X(CURL *, curl_easy_init, (void), (), NULL)                                                   \
    X(CURLcode, curl_easy_perform, (CURL *a), (a), CURLE_FAILED_INIT)                             \
    X(char *, curl_easy_escape, (CURL *a, const char *b, int c), (a, b, c), NULL)                 \
    X(CURLHcode, curl_easy_header,                                                                \
      (CURL *a, const char *b, size_t c, unsigned d, int e, struct curl_header **f),              \
      (a, b, c, d, e, f), CURLHE_NOT_BUILT_IN)                                                    \
    X(struct curl_slist *, curl_slist_append, (struct curl_slist *a, const char *b), (a, b), NULL) \
    X(CURLM *, curl_multi_init, (void), (), NULL)                                                 \
    X(CURLMcode, curl_multi_add_handle, (CURLM *a, CURL *b), (a, b), CURLM_INTERNAL_ERROR)        \
    X(CURLMcode, curl_multi_remove_handle, (CURLM *a, CURL *b), (a, b), CURLM_INTERNAL_ERROR)     \
    X(CURLMcode, curl_multi_perform, (CURLM *a, int *b), (a, b), CURLM_INTERNAL_ERROR)            \
    X(CURLMcode, curl_multi_poll,                                                                 \
      (CURLM *a, struct curl_waitfd b[], unsigned c, int d, int *e), (a, b, c, d, e),             \
      CURLM_INTERNAL_ERROR)                                                                       \
    X(CURLMcode, curl_multi_wakeup, (CURLM *a), (a), CURLM_INTERNAL_ERROR)                        \
    X(CURLMcode, curl_multi_cleanup, (CURLM *a), (a), CURLM_INTERNAL_ERROR)                       \
    X(CURLMsg *, curl_multi_info_read, (CURLM *a, int *b), (a, b), NULL)
#define LATE_VOID_MAP(X)                                                                          \
    X(curl_global_cleanup, (void), ())                                                            \
    X(curl_easy_cleanup, (CURL *a), (a))                                                          \
    X(curl_easy_reset, (CURL *a), (a))                                                            \
    X(curl_free, (void *a), (a))                                                                  \
    X(curl_slist_free_all, (struct curl_slist *a), (a))

static struct {
#define X(type, name, parameters, arguments, without) type (*name) parameters;
    LATE_MAP(X)
#undef X
#define X(name, parameters, arguments) void (*name) parameters;
    LATE_VOID_MAP(X)
#undef X
    CURLcode (*curl_easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*curl_easy_getinfo)(CURL *, CURLINFO, ...);
    CURLMcode (*curl_multi_setopt)(CURLM *, CURLMoption, ...);
    const char *(*curl_easy_strerror)(CURLcode);
} late;
static pthread_once_t late_once = PTHREAD_ONCE_INIT;
static bool late_is_there;

/* ISO C has no conversion from object to function pointers; POSIX promises that this works. */
static bool late_find(void *library, const char *name, void *ret_function)
{
    void *const at = dlsym(library, name);
    *(void **)ret_function = at;
    return at != NULL;
}

static void late_load(void)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) { /* the same functions over another TLS library */
        library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    }
    if (library == NULL) {
        return;
    }
    late_is_there = true;
#define X(type, name, parameters, arguments, without)                                             \
    late_is_there = late_find(library, #name, &late.name) && late_is_there;
    LATE_MAP(X)
#undef X
#define X(name, parameters, arguments)                                                            \
    late_is_there = late_find(library, #name, &late.name) && late_is_there;
    LATE_VOID_MAP(X)
#undef X
    late_is_there = late_find(library, "curl_easy_setopt", &late.curl_easy_setopt) &&
                    late_find(library, "curl_easy_getinfo", &late.curl_easy_getinfo) &&
                    late_find(library, "curl_multi_setopt", &late.curl_multi_setopt) &&
                    late_find(library, "curl_easy_strerror", &late.curl_easy_strerror) &&
                    late_is_there;
}

static bool late_curl(void)
{
    (void)pthread_once(&late_once, late_load);
    return late_is_there;
}

#define X(type, name, parameters, arguments, without)                                             \
    type name parameters { return late_curl() ? late.name arguments : (without); }
LATE_MAP(X)
#undef X
#define X(name, parameters, arguments)                                                            \
    void name parameters                                                                          \
    {                                                                                             \
        if (late_curl()) {                                                                        \
            late.name arguments;                                                                  \
        }                                                                                         \
    }
LATE_VOID_MAP(X)
#undef X

const char *curl_easy_strerror(CURLcode code)
{
    return late_curl() ? late.curl_easy_strerror(code)
                       : "libcurl.so.4 is not installed, or too old";
}

/* Options and infos tell by their number what type they take. */
CURLcode curl_easy_setopt(CURL *handle, CURLoption option, ...)
{
    va_list args;
    CURLcode code;
    if (!late_curl()) {
        return CURLE_FAILED_INIT;
    }
    va_start(args, option);
    if (option < CURLOPTTYPE_OBJECTPOINT) {
        code = late.curl_easy_setopt(handle, option, va_arg(args, long));
    } else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB) {
        code = late.curl_easy_setopt(handle, option, va_arg(args, curl_off_t));
    } else { /* pointers to objects and functions pass alike */
        code = late.curl_easy_setopt(handle, option, va_arg(args, void *));
    }
    va_end(args);
    return code;
}

CURLcode curl_easy_getinfo(CURL *handle, CURLINFO info, ...)
{
    va_list args;
    va_start(args, info);
    const CURLcode code = late_curl() ? late.curl_easy_getinfo(handle, info, va_arg(args, void *))
                                      : CURLE_FAILED_INIT;
    va_end(args);
    return code;
}

CURLMcode curl_multi_setopt(CURLM *handle, CURLMoption option, ...)
{
    va_list args;
    CURLMcode code;
    if (!late_curl()) {
        return CURLM_INTERNAL_ERROR;
    }
    va_start(args, option);
    code = (int)option < CURLOPTTYPE_OBJECTPOINT
               ? late.curl_multi_setopt(handle, option, va_arg(args, long))
               : late.curl_multi_setopt(handle, option, va_arg(args, void *));
    va_end(args);
    return code;
}
