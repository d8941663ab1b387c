#include "model/record.h"

const char *ql_importance_text(enum ql_importance importance)
{
    static const char *const texts[] = {
#define X(name, text) text,
        QL_IMPORTANCE_MAP(X)
#undef X
    };
    return (unsigned)importance < QL_IMPORTANCE_COUNT ? texts[importance] : "unknown";
}

const char *ql_signal_kind_text(enum ql_signal_kind kind)
{
    static const char *const texts[] = {
#define X(name, number, text) [number] = text,
        QL_SIGNAL_KIND_MAP(X)
#undef X
    };
    const char *text = (unsigned)kind < QL_SIGNAL_KIND_COUNT ? texts[kind] : NULL;
    return text != NULL ? text : "unknown";
}

const char *ql_slo_window_text(enum ql_slo_window window)
{
    static const char *const texts[] = {
#define X(name, text, minutes) text,
        QL_SLO_WINDOW_MAP(X)
#undef X
    };
    return (unsigned)window < QL_SLO_WINDOWS ? texts[window] : "unknown";
}

const char *ql_incident_state_text(enum ql_incident_state state)
{
    static const char *const texts[] = { "open", "acknowledged", "resolved" };
    return (unsigned)state < QL_COUNT_OF(texts) ? texts[state] : "unknown";
}

const char *ql_incident_event_text(enum ql_incident_event event)
{
    static const char *const texts[] = { "opened", "grew", "acknowledged", "resolved",
                                         "reopened", "merged" };
    return (unsigned)event < QL_COUNT_OF(texts) ? texts[event] : "unknown";
}

const char *ql_cause_role_text(enum ql_cause_role role)
{
    static const char *const texts[] = { "state change", "first symptom", "impact" };
    return (unsigned)role < QL_COUNT_OF(texts) ? texts[role] : "unknown";
}

const char *ql_action_state_text(enum ql_action_state state)
{
    static const char *const texts[] = {
#define X(name, text) text,
        QL_ACTION_STATE_MAP(X)
#undef X
    };
    return (unsigned)state < QL_ACTION_STATE_COUNT ? texts[state] : "unknown";
}

const char *ql_command_kind_text(enum ql_command_kind kind)
{
    static const char *const texts[] = {
#define X(name, text) text,
        QL_COMMAND_MAP(X)
#undef X
    };
    return (unsigned)kind < QL_COMMAND_COUNT ? texts[kind] : "unknown";
}
