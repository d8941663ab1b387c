#include "cli/demo.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define ASK_BYTES_MAX ((size_t)32 << 20)
#define ASK_TIMEOUT_MS 10000L

struct demo_client {
    CURL *curl;
    struct ql_buf body;
};

static size_t ask_keep(char *at, size_t size, size_t count, void *context)
{
    struct demo_client *client = context;
    return ql_buf_put(&client->body, at, size * count) == QL_OK ? size * count : 0;
}

ql_err demo_client_new(struct demo_client **ret_client)
{
    struct demo_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return QL_E_MEMORY;
    }
    ql_buf_init(&client->body, ASK_BYTES_MAX);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    client->curl = curl_easy_init();
    if (client->curl == NULL) {
        demo_client_free(client);
        return QL_E_MEMORY;
    }
    *ret_client = client;
    return QL_OK;
}

void demo_client_free(struct demo_client *client)
{
    if (client != NULL) {
        curl_easy_cleanup(client->curl);
        ql_buf_fini(&client->body);
        free(client);
        curl_global_cleanup();
    }
}

ql_err demo_ask(struct demo_client *client, const char *url, const char *path,
                struct ql_json *ret_root)
{
    char address[1024], why[QL_JSON_WHY_BYTES];
    long status = 0;
    CURL *curl = client->curl;
    (void)snprintf(address, sizeof(address), "%s%s", url, path);
    ql_buf_reset(&client->body);
    curl_easy_reset(curl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, address);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ASK_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ask_keep);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
    if (curl_easy_perform(curl) != CURLE_OK) {
        return QL_E_IO;
    }
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return QL_E_IO;
    }
    return ql_json_parse(ql_buf_view(&client->body), QL_JSON_DEPTH_MAX, ret_root, why);
}
