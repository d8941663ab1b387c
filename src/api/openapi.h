/* openapi.h - the API's own description, openapi.json, as it is embedded in the binary. */
#ifndef QL_API_OPENAPI_H
#define QL_API_OPENAPI_H

#include "base/base.h"

ql_str ql_openapi_document(void); /* static */

#endif
