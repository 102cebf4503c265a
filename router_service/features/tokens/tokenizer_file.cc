// How a tokenizer.json of Hugging Face's tokenizers is read.
#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/read_file.h"
#include "common/status_macros.h"
#include "router_service/features/tokens/tokenizer.h"

namespace penstock::router {
namespace {

using Json = nlohmann::json;

constexpr size_t kLargestFile = size_t{256} << 20;
constexpr size_t kMostPieces = size_t{1} << 20;
constexpr size_t kLongestPiece = 1024;              // bytes
constexpr size_t kMostPieceBytes = size_t{32} << 20;  // of all pieces: a trie has a node a byte at most
constexpr size_t kMostAdded = 65536;
constexpr size_t kMostSteps = 256;
constexpr size_t kLongestContent = 64;  // bytes that a normaliser puts in place of others
constexpr size_t kMostCharacters = 1000;  // of a word
// The library frees values recursively: hostile nesting would overflow the stack.
constexpr int kMostNested = 32;

absl::Status Bad(absl::string_view field, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(field, " ", problem));
}

std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  return text;
}

// An object of the file, by the names of its fields. What was not asked for is not supported.
class Fields {
 public:
  Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {}

  std::string Path(absl::string_view field) const {
    return path_.empty() ? std::string(field) : absl::StrCat(path_, ".", field);
  }
  // Null where it is missing or null.
  const Json* Find(absl::string_view field) {
    asked_.emplace_back(field);
    const auto found = object_.find(std::string(field));
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  absl::StatusOr<bool> Bool(absl::string_view field, bool unset) {
    const Json* value = Find(field);
    if (value == nullptr) return unset;
    if (value->is_boolean()) return value->get<bool>();
    return Bad(Path(field), absl::StrCat("is ", Shown(*value), ", wanted true or false"));
  }
  absl::StatusOr<std::string> Text(absl::string_view field, size_t most) {
    const Json* value = Find(field);
    if (value == nullptr) return Bad(Path(field), "is missing, wanted a text");
    if (!value->is_string()) {
      return Bad(Path(field), absl::StrCat("is ", Shown(*value), ", wanted a text"));
    }
    const std::string& text = value->get_ref<const std::string&>();
    if (text.size() <= most) return text;
    return Bad(Path(field),
               absl::StrCat("has ", text.size(), " bytes, at most ", most, " are supported"));
  }
  absl::StatusOr<uint32_t> Number(absl::string_view field, uint64_t least, uint64_t most) {
    const Json* value = Find(field);
    if (value != nullptr && value->is_number_unsigned() && value->get<uint64_t>() >= least &&
        value->get<uint64_t>() <= most) {
      return value->get<uint32_t>();
    }
    return Bad(Path(field), absl::StrCat("is ", value == nullptr ? "missing" : Shown(*value),
                                         ", wanted a number in [", least, ", ", most, "]"));
  }
  absl::Status NothingElse() const {
    for (const auto& [name, value] : object_.items()) {
      if (std::find(asked_.begin(), asked_.end(), name) == asked_.end()) {
        return Bad(Path(name), "is not supported");
      }
    }
    return absl::OkStatus();
  }

 private:
  const Json& object_;
  const std::string path_;
  std::vector<std::string> asked_;
};

absl::Status WantObject(const Json& value, const std::string& path) {
  if (value.is_object()) return absl::OkStatus();
  return Bad(path, absl::StrCat("is ", Shown(value), ", wanted an object"));
}

// Calls `step` for the value, or for those of a Sequence in order.
template <typename Function>
absl::Status EachStep(const Json* value, const std::string& path, const char* list,
                      const Function& step) {
  if (value == nullptr) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(WantObject(*value, path));
  Fields fields(*value, path);
  PENSTOCK_ASSIGN_OR_RETURN(const std::string type, fields.Text("type", 64));
  if (type != "Sequence") return step(fields, type);
  const Json* steps = fields.Find(list);
  if (steps == nullptr || !steps->is_array() || steps->size() > kMostSteps) {
    return Bad(fields.Path(list), absl::StrCat("is no list of at most ", kMostSteps, " steps"));
  }
  PENSTOCK_RETURN_IF_ERROR(fields.NothingElse());
  for (size_t i = 0; i < steps->size(); ++i) {
    const std::string at = absl::StrCat(fields.Path(list), "[", i, "]");
    PENSTOCK_RETURN_IF_ERROR(WantObject((*steps)[i], at));
    Fields of_step((*steps)[i], at);
    PENSTOCK_ASSIGN_OR_RETURN(const std::string kind, of_step.Text("type", 64));
    PENSTOCK_RETURN_IF_ERROR(step(of_step, kind));
  }
  return absl::OkStatus();
}

absl::Status ReadReplace(Fields& fields, NormalizerStep& step) {
  PENSTOCK_ASSIGN_OR_RETURN(step.content, fields.Text("content", kLongestContent));
  const Json* pattern = fields.Find("pattern");
  const std::string path = fields.Path("pattern");
  if (pattern == nullptr) return Bad(path, "is missing");
  PENSTOCK_RETURN_IF_ERROR(WantObject(*pattern, path));
  Fields kinds(*pattern, path);
  if (kinds.Find("String") != nullptr) {
    step.kind = NormalizerStep::Kind::kReplace;
    PENSTOCK_ASSIGN_OR_RETURN(step.pattern, kinds.Text("String", kLongestPiece));
    if (step.pattern.empty()) return Bad(kinds.Path("String"), "is empty");
    return kinds.NothingElse();
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::string regex, kinds.Text("Regex", kLongestPiece));
  step.kind = NormalizerStep::Kind::kReplaceRuns;
  step.only_spaces = regex == " {2,}";
  if (!step.only_spaces && regex != "\\s+") {
    return Bad(kinds.Path("Regex"),
               absl::StrCat("is \"", regex, "\", supported are \"\\s+\" and \" {2,}\""));
  }
  return kinds.NothingElse();
}

absl::StatusOr<NormalizerStep> ReadNormalizer(Fields& fields, const std::string& type) {
  using Kind = NormalizerStep::Kind;
  constexpr std::array<std::pair<absl::string_view, NormalForm>, 4> kForms = {
      {{"NFC", NormalForm::kNfc},
       {"NFD", NormalForm::kNfd},
       {"NFKC", NormalForm::kNfkc},
       {"NFKD", NormalForm::kNfkd}}};
  NormalizerStep step;
  const auto form = std::find_if(kForms.begin(), kForms.end(),
                                 [&type](const auto& named) { return named.first == type; });
  if (form != kForms.end()) {
    step.kind = Kind::kForm;
    step.form = form->second;
  } else if (type == "BertNormalizer") {
    step.kind = Kind::kBert;
    PENSTOCK_ASSIGN_OR_RETURN(step.clean_text, fields.Bool("clean_text", true));
    PENSTOCK_ASSIGN_OR_RETURN(step.cjk_apart, fields.Bool("handle_chinese_chars", true));
    PENSTOCK_ASSIGN_OR_RETURN(step.lowercase, fields.Bool("lowercase", true));
    PENSTOCK_ASSIGN_OR_RETURN(step.strip_accents, fields.Bool("strip_accents", step.lowercase));
  } else if (type == "Lowercase") {
    step.kind = Kind::kLowercase;
  } else if (type == "StripAccents") {
    step.kind = Kind::kStripAccents;
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    PENSTOCK_ASSIGN_OR_RETURN(step.left, fields.Bool("strip_left", true));
    PENSTOCK_ASSIGN_OR_RETURN(step.right, fields.Bool("strip_right", true));
  } else if (type == "Prepend") {
    step.kind = Kind::kPrepend;
    PENSTOCK_ASSIGN_OR_RETURN(step.content, fields.Text("prepend", kLongestContent));
  } else if (type == "Replace") {
    PENSTOCK_RETURN_IF_ERROR(ReadReplace(fields, step));
  } else if (type == "Precompiled") {
    step.kind = Kind::kPrecompiled;
    PENSTOCK_ASSIGN_OR_RETURN(const std::string coded,
                              fields.Text("precompiled_charsmap", size_t{16} << 20));
    const std::string path = fields.Path("precompiled_charsmap");
    std::string table;
    if (!absl::Base64Unescape(coded, &table)) return Bad(path, "is no base64");
    absl::StatusOr<std::shared_ptr<const PrecompiledMap>> map = PrecompiledMap::Parse(table);
    if (!map.ok()) return Bad(path, map.status().message());
    step.map = *std::move(map);
  } else {
    return Bad(fields.Path("type"), absl::StrCat("\"", type, "\" is not supported"));
  }
  PENSTOCK_RETURN_IF_ERROR(fields.NothingElse());
  return step;
}

absl::Status ReadMetaspace(Fields& fields, SplitterStep& step) {
  using Prepend = SplitterStep::Prepend;
  step.kind = SplitterStep::Kind::kMetaspace;
  if (fields.Find("replacement") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(step.replacement, fields.Text("replacement", 4));
    if (step.replacement.empty()) return Bad(fields.Path("replacement"), "is empty");
  }
  if (fields.Find("str_rep") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string same, fields.Text("str_rep", 4));
    if (same != step.replacement) return Bad(fields.Path("str_rep"), "is not the replacement");
  }
  // The older way to say prepend_scheme.
  PENSTOCK_ASSIGN_OR_RETURN(const bool prefix, fields.Bool("add_prefix_space", true));
  step.prepend = prefix ? Prepend::kAlways : Prepend::kNever;
  if (fields.Find("prepend_scheme") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string scheme, fields.Text("prepend_scheme", 16));
    if (scheme == "always") {
      step.prepend = Prepend::kAlways;
    } else if (scheme == "first") {
      step.prepend = Prepend::kFirst;
    } else if (scheme == "never") {
      step.prepend = Prepend::kNever;
    } else {
      return Bad(fields.Path("prepend_scheme"),
                 absl::StrCat("is \"", scheme, "\", wanted always, first or never"));
    }
  }
  PENSTOCK_ASSIGN_OR_RETURN(step.split, fields.Bool("split", true));
  return absl::OkStatus();
}

absl::StatusOr<SplitterStep> ReadSplitter(Fields& fields, const std::string& type) {
  using Kind = SplitterStep::Kind;
  SplitterStep step;
  if (type == "BertPreTokenizer") {
    step.kind = Kind::kBert;
  } else if (type == "WhitespaceSplit") {
    step.kind = Kind::kWhiteSpace;
  } else if (type == "Punctuation") {
    step.kind = Kind::kPunctuation;
    PENSTOCK_ASSIGN_OR_RETURN(const std::string behavior, fields.Text("behavior", 64));
    if (behavior != "Isolated") {
      return Bad(fields.Path("behavior"), absl::StrCat("\"", behavior, "\" is not supported"));
    }
  } else if (type == "Metaspace") {
    PENSTOCK_RETURN_IF_ERROR(ReadMetaspace(fields, step));
  } else {
    return Bad(fields.Path("type"), absl::StrCat("\"", type, "\" is not supported"));
  }
  PENSTOCK_RETURN_IF_ERROR(fields.NothingElse());
  return step;
}

absl::Status CheckPieces(const std::string& path, size_t pieces) {
  if (pieces > 0 && pieces <= kMostPieces) return absl::OkStatus();
  return Bad(path, absl::StrCat("has ", pieces, " pieces, wanted [1, ", kMostPieces, "]"));
}

absl::Status CheckPiece(const std::string& path, const std::string& piece, size_t& bytes) {
  bytes += piece.size();
  if (piece.size() > kLongestPiece) {
    return Bad(path, absl::StrCat("has a piece of ", piece.size(), " bytes, at most ",
                                  kLongestPiece, " are supported"));
  }
  if (bytes <= kMostPieceBytes) return absl::OkStatus();
  return Bad(path, absl::StrCat("has pieces of more than ", kMostPieceBytes, " bytes together"));
}

absl::StatusOr<WordPiece::Settings> ReadWordPiece(Fields& fields, uint32_t& largest_id) {
  WordPiece::Settings model;
  const Json* vocabulary = fields.Find("vocab");
  const std::string path = fields.Path("vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) {
    return Bad(path, "is missing or no object, wanted the pieces and their ids");
  }
  PENSTOCK_RETURN_IF_ERROR(CheckPieces(path, vocabulary->size()));
  size_t bytes = 0;
  for (const auto& [piece, id] : vocabulary->items()) {
    PENSTOCK_RETURN_IF_ERROR(CheckPiece(path, piece, bytes));
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMostPieces) {
      return Bad(path, absl::StrCat("gives \"", piece, "\" the id ", Shown(id),
                                    ", wanted a number below ", kMostPieces));
    }
    largest_id = std::max(largest_id, id.get<uint32_t>());
    if (!piece.empty()) model.vocabulary.emplace_back(piece, id.get<uint32_t>());
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::string unknown, fields.Text("unk_token", kLongestPiece));
  const auto found = vocabulary->find(unknown);
  if (found == vocabulary->end()) {
    return Bad(fields.Path("unk_token"), absl::StrCat("\"", unknown, "\" is not in ", path));
  }
  model.unknown = found->get<uint32_t>();
  PENSTOCK_ASSIGN_OR_RETURN(model.continuing_prefix,
                            fields.Text("continuing_subword_prefix", kLongestPiece));
  PENSTOCK_ASSIGN_OR_RETURN(model.max_characters,
                            fields.Number("max_input_chars_per_word", 1, kMostCharacters));
  return model;
}

absl::StatusOr<Unigram::Settings> ReadUnigram(Fields& fields, uint32_t& largest_id) {
  Unigram::Settings model;
  const Json* vocabulary = fields.Find("vocab");
  const std::string path = fields.Path("vocab");
  if (vocabulary == nullptr || !vocabulary->is_array()) {
    return Bad(path, "is missing or no list, wanted pieces and their scores");
  }
  PENSTOCK_RETURN_IF_ERROR(CheckPieces(path, vocabulary->size()));
  size_t bytes = 0;
  for (const Json& pair : *vocabulary) {
    const bool is_pair = pair.is_array() && pair.size() == 2 && pair[0].is_string() &&
                         pair[1].is_number() && std::isfinite(pair[1].get<double>());
    if (!is_pair) {
      return Bad(absl::StrCat(path, "[", model.pieces.size(), "]"),
                 absl::StrCat("is ", Shown(pair), ", wanted [piece, score]"));
    }
    const std::string& piece = pair[0].get_ref<const std::string&>();
    PENSTOCK_RETURN_IF_ERROR(CheckPiece(path, piece, bytes));
    model.pieces.emplace_back(piece, pair[1].get<double>());
  }
  largest_id = std::max(largest_id, static_cast<uint32_t>(model.pieces.size() - 1));
  PENSTOCK_ASSIGN_OR_RETURN(model.unknown,
                            fields.Number("unk_id", 0, model.pieces.size() - 1));
  PENSTOCK_ASSIGN_OR_RETURN(const bool fallback, fields.Bool("byte_fallback", false));
  if (fallback) return Bad(fields.Path("byte_fallback"), "true is not supported");
  return model;
}

absl::Status ReadModel(const Json* value, TokenizerSettings& settings) {
  if (value == nullptr) return Bad("model", "is missing");
  PENSTOCK_RETURN_IF_ERROR(WantObject(*value, "model"));
  Fields fields(*value, "model");
  PENSTOCK_ASSIGN_OR_RETURN(const std::string type, fields.Text("type", 64));
  if (type == "WordPiece") {
    PENSTOCK_ASSIGN_OR_RETURN(settings.model, ReadWordPiece(fields, settings.largest_id));
  } else if (type == "Unigram") {
    PENSTOCK_ASSIGN_OR_RETURN(settings.model, ReadUnigram(fields, settings.largest_id));
  } else {
    return Bad("model.type",
               absl::StrCat("\"", type, "\" is not supported, WordPiece and Unigram are"));
  }
  return fields.NothingElse();
}

absl::Status ReadAdded(const Json* list, TokenizerSettings& settings) {
  if (list == nullptr) return absl::OkStatus();
  if (!list->is_array() || list->size() > kMostAdded) {
    return Bad("added_tokens", absl::StrCat("is no list of at most ", kMostAdded, " tokens"));
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string path = absl::StrCat("added_tokens[", i, "]");
    PENSTOCK_RETURN_IF_ERROR(WantObject((*list)[i], path));
    Fields fields((*list)[i], path);
    AddedToken token;
    PENSTOCK_ASSIGN_OR_RETURN(token.content, fields.Text("content", kLongestPiece));
    PENSTOCK_ASSIGN_OR_RETURN(token.id, fields.Number("id", 0, kMostPieces - 1));
    PENSTOCK_ASSIGN_OR_RETURN(token.left_strip, fields.Bool("lstrip", false));
    PENSTOCK_ASSIGN_OR_RETURN(token.right_strip, fields.Bool("rstrip", false));
    PENSTOCK_ASSIGN_OR_RETURN(const bool special, fields.Bool("special", false));
    PENSTOCK_ASSIGN_OR_RETURN(token.normalized, fields.Bool("normalized", !special));
    PENSTOCK_ASSIGN_OR_RETURN(const bool single, fields.Bool("single_word", false));
    if (single) return Bad(fields.Path("single_word"), "true is not supported");
    PENSTOCK_RETURN_IF_ERROR(fields.NothingElse());
    settings.largest_id = std::max(settings.largest_id, token.id);
    settings.added.push_back(std::move(token));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerSettings> ParseTokenizer(absl::string_view json) {
  bool too_deep = false;
  const auto within_depth = [&too_deep](int depth, Json::parse_event_t, const Json&) {
    too_deep |= depth > kMostNested;
    return depth <= kMostNested;
  };
  const Json file =
      Json::parse(json.data(), json.data() + json.size(), within_depth, /*exceptions=*/false);
  if (file.is_discarded() || too_deep || !file.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("is no JSON object of at most ", kMostNested, " levels"));
  }
  TokenizerSettings settings;
  Fields fields(file, "");
  if (fields.Find("version") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string version, fields.Text("version", 16));
    if (version != "1.0") return Bad("version", absl::StrCat("is ", version, ", wanted 1.0"));
  }
  // They say how many tokens are kept, what stands around them, and how they become a text again.
  for (const char* of_no_account : {"truncation", "padding", "post_processor", "decoder"}) {
    fields.Find(of_no_account);
  }
  PENSTOCK_RETURN_IF_ERROR(ReadModel(fields.Find("model"), settings));
  PENSTOCK_RETURN_IF_ERROR(ReadAdded(fields.Find("added_tokens"), settings));
  PENSTOCK_RETURN_IF_ERROR(EachStep(
      fields.Find("normalizer"), "normalizer", "normalizers",
      [&settings](Fields& of_step, const std::string& type) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(NormalizerStep step, ReadNormalizer(of_step, type));
        settings.normalizer.push_back(std::move(step));
        return absl::OkStatus();
      }));
  PENSTOCK_RETURN_IF_ERROR(EachStep(
      fields.Find("pre_tokenizer"), "pre_tokenizer", "pretokenizers",
      [&settings](Fields& of_step, const std::string& type) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(SplitterStep step, ReadSplitter(of_step, type));
        // What a word begins with is known of a text as a whole only.
        if (step.prepend == SplitterStep::Prepend::kFirst && !settings.splitter.empty()) {
          return Bad(of_step.Path("prepend_scheme"), "first is supported for the first step only");
        }
        settings.splitter.push_back(std::move(step));
        return absl::OkStatus();
      }));
  PENSTOCK_RETURN_IF_ERROR(fields.NothingElse());
  return settings;
}

absl::StatusOr<TokenizerSettings> ReadTokenizerFile(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kLargestFile));
  absl::StatusOr<TokenizerSettings> settings = ParseTokenizer(text);
  if (settings.ok()) return settings;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", settings.status().message()));
}

}  // namespace penstock::router
