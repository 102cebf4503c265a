#include "common/config/yaml_config.h"

#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/config/yaml_scalars.h"
#include "common/status_macros.h"
#include "common/utf8.h"
#include "google/protobuf/descriptor.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace penstock {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

constexpr int kMaxDepth = 64;
// Aliases make a small file describe a huge tree.
constexpr int kMaxNodes = 100'000;

bool IsDuration(const Descriptor& type) { return type.full_name() == "google.protobuf.Duration"; }

bool NeedsValue(const FieldDescriptor& field) {
  if (field.is_repeated()) return false;
  return field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || IsDuration(*field.message_type());
}

std::string Join(absl::string_view path, absl::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

absl::string_view KindName(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return "nothing";
    case YAML::NodeType::Scalar:
      return "a single value";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "keys and values";
  }
  return "nothing";
}

absl::Status Error(const YAML::Node& node, absl::string_view path, absl::string_view what) {
  const std::string where =
      node.Mark().is_null() ? "" : absl::StrCat(" (line ", node.Mark().line + 1, ")");
  return absl::InvalidArgumentError(
      absl::StrCat(path.empty() ? "the file" : path, ": ", what, where));
}

// Follows a parse without building anything. yaml-cpp builds documents for ever, and takes memory
// for them, where a token stands that begins none.
class DocumentCounter final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    ++documents_;
    last_start_ = mark;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  int documents() const { return documents_; }
  const YAML::Mark& last_start() const { return last_start_; }

 private:
  int documents_ = 0;
  YAML::Mark last_start_;
};

// Walks the document and the message's descriptor side by side.
class Walker {
 public:
  absl::Status ReadMessage(const YAML::Node& node, const std::string& path, Message& message) {
    PENSTOCK_RETURN_IF_ERROR(Enter(node, path));
    if (node.IsNull()) return Leave();
    if (!node.IsMap()) {
      return Error(node, path, absl::StrCat("wanted keys and values, got ", KindName(node)));
    }
    const Descriptor& type = *message.GetDescriptor();
    absl::flat_hash_set<std::string> seen;
    for (const auto& pair : node) {
      const YAML::Node& key_node = pair.first;
      if (!key_node.IsScalar()) return Error(key_node, path, "wanted the name of a field as key");
      const std::string& key = key_node.Scalar();
      const std::string field_path = Join(path, key);
      const FieldDescriptor* field = type.FindFieldByName(key);
      if (field == nullptr) return UnknownField(key_node, field_path, key, type);
      if (!seen.insert(key).second) return Error(key_node, field_path, "stands twice");
      if (const OneofDescriptor* oneof = field->real_containing_oneof();
          oneof != nullptr && message.GetReflection()->HasOneof(message, oneof)) {
        return OneofTwice(key_node, field_path, message, *oneof);
      }
      // The value's own place would be that of the next key.
      if (pair.second.IsNull() && NeedsValue(*field)) {
        return Error(key_node, field_path, "has no value");
      }
      PENSTOCK_RETURN_IF_ERROR(ReadField(pair.second, field_path, message, *field));
    }
    return Leave();
  }

 private:
  // A recursive alias never ends; the depth stops it.
  absl::Status Enter(const YAML::Node& node, const std::string& path) {
    if (++depth_ > kMaxDepth) return Error(node, path.substr(0, 256), "nested too deep");
    return CountNode(node, path);
  }
  absl::Status CountNode(const YAML::Node& node, const std::string& path) {
    if (++nodes_ > kMaxNodes) return Error(node, path.substr(0, 256), "too many values");
    return absl::OkStatus();
  }
  absl::Status Leave() {
    --depth_;
    return absl::OkStatus();
  }

  static absl::Status UnknownField(const YAML::Node& node, const std::string& path,
                                   const std::string& key, const Descriptor& type) {
    std::vector<std::string> names;
    for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
    const std::string nearest = NearestWord(key, names);
    std::string hint;
    if (!nearest.empty()) {
      hint = absl::StrCat("; did you mean ", nearest, "?");
    } else if (names.empty()) {
      hint = "; there are none here";
    } else {
      hint = absl::StrCat("; fields are ", absl::StrJoin(names, ", "));
    }
    return Error(node, path, absl::StrCat("unknown field", hint));
  }

  static absl::Status OneofTwice(const YAML::Node& node, const std::string& path,
                                 const Message& message, const OneofDescriptor& oneof) {
    std::vector<std::string> names;
    for (int i = 0; i < oneof.field_count(); ++i) names.push_back(oneof.field(i)->name());
    const FieldDescriptor* set = message.GetReflection()->GetOneofFieldDescriptor(message, &oneof);
    return Error(node, path,
                 absl::StrCat("only one of ", absl::StrJoin(names, ", "), " may stand here, and ",
                              set->name(), " stands already"));
  }

  absl::Status ReadField(const YAML::Node& node, const std::string& path, Message& message,
                         const FieldDescriptor& field) {
    if (field.is_map()) return ReadMap(node, path, message, field);
    if (field.is_repeated()) return ReadList(node, path, message, field);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return ReadMessageField(node, path,
                              *message.GetReflection()->MutableMessage(&message, &field));
    }
    return ReadScalar(node, path, message, field);
  }

  absl::Status ReadMessageField(const YAML::Node& node, const std::string& path, Message& message) {
    if (IsDuration(*message.GetDescriptor())) return ReadDuration(node, path, message);
    return ReadMessage(node, path, message);
  }

  absl::Status ReadList(const YAML::Node& node, const std::string& path, Message& message,
                        const FieldDescriptor& field) {
    if (node.IsNull()) return absl::OkStatus();
    if (!node.IsSequence()) {
      return Error(node, path, absl::StrCat("wanted a list, got ", KindName(node)));
    }
    for (size_t i = 0; i < node.size(); ++i) {
      const std::string item_path = absl::StrCat(path, "[", i, "]");
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        PENSTOCK_RETURN_IF_ERROR(ReadMessageField(
            node[i], item_path, *message.GetReflection()->AddMessage(&message, &field)));
      } else {
        PENSTOCK_RETURN_IF_ERROR(ReadScalar(node[i], item_path, message, field));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadMap(const YAML::Node& node, const std::string& path, Message& message,
                       const FieldDescriptor& field) {
    if (node.IsNull()) return absl::OkStatus();
    if (!node.IsMap()) {
      return Error(node, path, absl::StrCat("wanted keys and values, got ", KindName(node)));
    }
    const FieldDescriptor& key_field = *field.message_type()->map_key();
    const FieldDescriptor& value_field = *field.message_type()->map_value();
    absl::flat_hash_set<std::string> seen;
    for (const auto& pair : node) {
      const YAML::Node& key_node = pair.first;
      if (!key_node.IsScalar()) return Error(key_node, path, "wanted a single value as key");
      const std::string entry_path = Join(path, key_node.Scalar());
      // Reflection sees a map as a list of entries.
      Message& entry = *message.GetReflection()->AddMessage(&message, &field);
      PENSTOCK_RETURN_IF_ERROR(ReadScalar(key_node, entry_path, entry, key_field));
      if (!seen.insert(KeyText(entry, key_field)).second) {
        return Error(key_node, entry_path, "stands twice");
      }
      PENSTOCK_RETURN_IF_ERROR(ReadField(pair.second, entry_path, entry, value_field));
    }
    return absl::OkStatus();
  }

  // 1 and 0x1 are the same key.
  static std::string KeyText(const Message& entry, const FieldDescriptor& key) {
    const Reflection& reflection = *entry.GetReflection();
    switch (key.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.GetString(entry, &key);
      case FieldDescriptor::CPPTYPE_INT32:
        return absl::StrCat(reflection.GetInt32(entry, &key));
      case FieldDescriptor::CPPTYPE_INT64:
        return absl::StrCat(reflection.GetInt64(entry, &key));
      case FieldDescriptor::CPPTYPE_UINT32:
        return absl::StrCat(reflection.GetUInt32(entry, &key));
      case FieldDescriptor::CPPTYPE_UINT64:
        return absl::StrCat(reflection.GetUInt64(entry, &key));
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.GetBool(entry, &key) ? "true" : "false";
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_ENUM:
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;  // protobuf has no maps by these
    }
    return "";
  }

  absl::Status ReadDuration(const YAML::Node& node, const std::string& path, Message& message) {
    PENSTOCK_RETURN_IF_ERROR(CheckScalar(node, path));
    const absl::StatusOr<absl::Duration> duration = ParseYamlDuration(node.Scalar());
    if (!duration.ok()) return Error(node, path, duration.status().message());
    absl::Duration rest;
    const int64_t seconds = absl::IDivDuration(*duration, absl::Seconds(1), &rest);
    const Reflection& reflection = *message.GetReflection();
    const Descriptor& type = *message.GetDescriptor();
    reflection.SetInt64(&message, type.FindFieldByName("seconds"), seconds);
    reflection.SetInt32(&message, type.FindFieldByName("nanos"),
                        static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
    return absl::OkStatus();
  }

  absl::Status CheckScalar(const YAML::Node& node, const std::string& path) {
    PENSTOCK_RETURN_IF_ERROR(CountNode(node, path));
    if (node.IsScalar()) return absl::OkStatus();
    if (node.IsNull()) return Error(node, path, "has no value");
    return Error(node, path, absl::StrCat("wanted a single value, got ", KindName(node)));
  }

  // Sets the field, or adds to it where it repeats.
  absl::Status ReadScalar(const YAML::Node& node, const std::string& path, Message& message,
                          const FieldDescriptor& field) {
    PENSTOCK_RETURN_IF_ERROR(CheckScalar(node, path));
    const absl::Status status = SetScalar(node, message, field);
    return status.ok() ? status : Error(node, path, status.message());
  }

  template <typename T, typename Set, typename Add>
  static absl::Status Store(absl::StatusOr<T> value, Message& message, const FieldDescriptor& field,
                            Set set, Add add) {
    PENSTOCK_RETURN_IF_ERROR(value.status());
    const Reflection* reflection = message.GetReflection();
    if (field.is_repeated()) {
      (reflection->*add)(&message, &field, *value);
    } else {
      (reflection->*set)(&message, &field, *value);
    }
    return absl::OkStatus();
  }

  static absl::Status SetScalar(const YAML::Node& node, Message& message,
                                const FieldDescriptor& field) {
    const std::string& text = node.Scalar();
    // A quoted scalar has the tag "!": it is text even where it looks like a number.
    const bool quoted = node.Tag() == "!";
    if (quoted && field.cpp_type() != FieldDescriptor::CPPTYPE_STRING &&
        field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) {
      return absl::InvalidArgumentError(
          absl::StrCat("wanted ", field.cpp_type_name(), ", got the quoted text '", text, "'"));
    }
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        if (field.type() == FieldDescriptor::TYPE_BYTES) {
          return absl::InvalidArgumentError("fields of bytes cannot be configured");
        }
        // yaml-cpp lets every byte through.
        if (!IsUtf8(text)) return absl::InvalidArgumentError("is not UTF-8");
        return Store(absl::StatusOr<std::string>(text), message, field, &Reflection::SetString,
                     &Reflection::AddString);
      case FieldDescriptor::CPPTYPE_BOOL:
        return Store(ParseYamlBool(text), message, field, &Reflection::SetBool,
                     &Reflection::AddBool);
      case FieldDescriptor::CPPTYPE_INT32:
        return Store(ParseYamlInt(text, std::numeric_limits<int32_t>::min(),
                                  std::numeric_limits<int32_t>::max()),
                     message, field, &Reflection::SetInt32, &Reflection::AddInt32);
      case FieldDescriptor::CPPTYPE_INT64:
        return Store(ParseYamlInt(text, std::numeric_limits<int64_t>::min(),
                                  std::numeric_limits<int64_t>::max()),
                     message, field, &Reflection::SetInt64, &Reflection::AddInt64);
      case FieldDescriptor::CPPTYPE_UINT32:
        return Store(ParseYamlUint(text, std::numeric_limits<uint32_t>::max()), message, field,
                     &Reflection::SetUInt32, &Reflection::AddUInt32);
      case FieldDescriptor::CPPTYPE_UINT64:
        return Store(ParseYamlUint(text, std::numeric_limits<uint64_t>::max()), message, field,
                     &Reflection::SetUInt64, &Reflection::AddUInt64);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return Store(ParseYamlDouble(text, std::numeric_limits<double>::max()), message, field,
                     &Reflection::SetDouble, &Reflection::AddDouble);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return Store(ParseYamlDouble(text, std::numeric_limits<float>::max()), message, field,
                     &Reflection::SetFloat, &Reflection::AddFloat);
      case FieldDescriptor::CPPTYPE_ENUM:
        return Store(ParseYamlEnum(text, *field.enum_type()), message, field, &Reflection::SetEnum,
                     &Reflection::AddEnum);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    return absl::InternalError("a message is no scalar");
  }

  int depth_ = 0;
  int nodes_ = 0;
};

}  // namespace

absl::Status ReadYaml(absl::string_view text, Message& message) {
  message.Clear();
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    DocumentCounter counter;
    while (counter.documents() < 2 && parser.HandleNextDocument(counter)) {
    }
    if (counter.documents() == 0) return absl::OkStatus();
    if (counter.documents() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("the file: wanted one YAML document, got more (line ",
                       counter.last_start().line + 1, ")"));
    }
    return Walker().ReadMessage(YAML::Load(std::string(text)), "", message);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("line ", error.mark.line + 1, ", column ",
                                                   error.mark.column + 1, ": ", error.msg));
  }
}

absl::Status ReadYamlFile(const std::string& path, Message& message) {
  std::ostringstream text;
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  text << file.rdbuf();
  if (file.bad()) return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  const absl::Status status = ReadYaml(text.str(), message);
  return status.ok() ? status
                     : absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace penstock
