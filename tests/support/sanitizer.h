#pragma once

namespace penstock {

// Under ThreadSanitizer Debian's protobuf headers give map fields two members that its library does not
// have, so reading a map by reflection, as the configuration does, crashes. Tests that do so skip.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kMapFieldsAreBroken = true;
#else
inline constexpr bool kMapFieldsAreBroken = false;
#endif

}  // namespace penstock
