#include "wire/utf8.h"

size_t ql_utf8_step(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80) {
        return 1;
    }
    const size_t bytes = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    if (at[0] < 0xC2 || at[0] > 0xF4 || left < bytes) {
        return 0;
    }
    const unsigned char low = at[0] == 0xE0 ? 0xA0 : at[0] == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = at[0] == 0xED ? 0x9F : at[0] == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < bytes; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return bytes;
}

bool ql_utf8_valid(ql_str text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    for (size_t i = 0; i < text.bytes;) {
        uint64_t word;
        if (text.bytes - i >= sizeof(word)) {
            memcpy(&word, at + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        const size_t step = ql_utf8_step(at + i, text.bytes - i);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}
