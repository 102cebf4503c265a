#include "router_service/features/tokens/precompiled_map.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/utf8.h"
#include "router_service/features/tokens/unicode_text.h"

namespace penstock::router {
namespace {

// Darts-clone's units: label, offset of the children, and whether a value hangs below.
uint32_t LabelOf(uint32_t unit) { return unit & (0x80000000u | 0xFFu); }
uint32_t OffsetOf(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t ValueOf(uint32_t unit) { return unit & 0x7FFFFFFFu; }

constexpr size_t kClusterBytes = 6;

}  // namespace

absl::StatusOr<std::shared_ptr<const PrecompiledMap>> PrecompiledMap::Parse(
    absl::string_view table) {
  uint32_t size = 0;
  if (table.size() < sizeof(size)) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", table.size(), " bytes, wanted 4 of a length and a trie"));
  }
  std::memcpy(&size, table.data(), sizeof(size));
  table.remove_prefix(sizeof(size));
  if (size > table.size() || size == 0 || size % sizeof(uint32_t) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("says that its trie has ", size,
                                                   " bytes, wanted a multiple of 4 in [4, ",
                                                   table.size(), "]"));
  }
  auto map = absl::WrapUnique(new PrecompiledMap());
  map->units_.resize(size / sizeof(uint32_t));
  std::memcpy(map->units_.data(), table.data(), size);
  map->strings_ = std::string(table.substr(size));
  if (!IsUtf8(map->strings_)) {
    return absl::InvalidArgumentError("has strings that are no UTF-8");
  }
  for (size_t c = 0; c < map->ascii_.size(); ++c) {
    const char character = static_cast<char>(c);
    absl::string_view becomes(&character, 1);
    map->Find(becomes, becomes);
    map->ascii_[c] = std::string(becomes);
  }
  return std::shared_ptr<const PrecompiledMap>(std::move(map));
}

bool PrecompiledMap::Find(absl::string_view part, absl::string_view& becomes) const {
  size_t node = OffsetOf(units_[0]);
  for (const char c : part) {
    const uint8_t byte = static_cast<uint8_t>(c);
    if (byte == 0) return false;
    node ^= byte;
    if (node >= units_.size()) return false;
    const uint32_t unit = units_[node];
    if (LabelOf(unit) != byte) return false;
    node ^= OffsetOf(unit);
    if (!HasLeaf(unit)) continue;
    if (node >= units_.size()) return false;
    const size_t begin = ValueOf(units_[node]);
    // A damaged table may lead into the middle of a character.
    if (begin > strings_.size() ||
        (begin < strings_.size() && (static_cast<uint8_t>(strings_[begin]) & 0xC0) == 0x80)) {
      return false;
    }
    const absl::string_view rest = absl::string_view(strings_).substr(begin);
    becomes = rest.substr(0, std::min(rest.find('\0'), rest.size()));
    return true;
  }
  return false;
}

void PrecompiledMap::Apply(absl::string_view text, size_t most, std::string& to) const {
  absl::string_view becomes;
  for (size_t at = 0; at < text.size() && to.size() < most;) {
    const uint8_t byte = static_cast<uint8_t>(text[at]);
    const bool last = at + 1 == text.size();
    // Two characters of ASCII are no cluster, but for CR LF.
    if (byte < 0x80 && byte != '\r' && (last || static_cast<uint8_t>(text[at + 1]) < 0x80)) {
      to.append(ascii_[byte]);
      ++at;
      continue;
    }
    const size_t begin = at;
    uint32_t before = NextCharacter(text, at);
    for (utf8proc_int32_t state = 0; at < text.size();) {
      size_t next = at;
      const uint32_t after = NextCharacter(text, next);
      if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(before),
                                           static_cast<utf8proc_int32_t>(after), &state)) {
        break;
      }
      before = after;
      at = next;
    }
    const absl::string_view cluster = text.substr(begin, at - begin);
    if (cluster.size() < kClusterBytes && Find(cluster, becomes)) {
      absl::StrAppend(&to, becomes);
      continue;
    }
    for (size_t from = 0; from < cluster.size() && to.size() < most;) {
      const size_t start = from;
      NextCharacter(cluster, from);
      const absl::string_view character = cluster.substr(start, from - start);
      absl::StrAppend(&to, Find(character, becomes) ? becomes : character);
    }
  }
}

}  // namespace penstock::router
