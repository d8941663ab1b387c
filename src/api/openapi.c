/* openapi.c - where the assembler put openapi.json (openapi.S is made by meson.build). */
#include "api/openapi.h"

extern const char ql_openapi_start[], ql_openapi_end[];

ql_str ql_openapi_document(void)
{
    return (ql_str){ ql_openapi_start, (size_t)(ql_openapi_end - ql_openapi_start) };
}
