#include "common/config/config_changes.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"

namespace penstock {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::MessageDifferencer;

// The field that names the items of a list, or keys those of a map; null: there is none.
const FieldDescriptor* NameOf(const FieldDescriptor& list) {
  if (list.is_map()) return list.message_type()->map_key();
  const FieldDescriptor* name = list.message_type()->FindFieldByName("name");
  if (name == nullptr || name->is_repeated()) return nullptr;
  return name->cpp_type() == FieldDescriptor::CPPTYPE_STRING ? name : nullptr;
}

std::string KeyText(const Message& item, const FieldDescriptor& key) {
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(item, &key, -1, &text);
  // Texts come with quotes around them.
  return text.size() >= 2 && text.front() == '"' ? text.substr(1, text.size() - 2) : text;
}

class Comparison {
 public:
  explicit Comparison(size_t limit) : limit_(limit) {}

  void Compare(const Message& before, const Message& after, const std::string& prefix) {
    const Descriptor& type = *before.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i)
      CompareField(before, after, *type.field(i), prefix);
  }
  std::vector<std::string> Take() { return std::move(changes_); }

 private:
  void Changed(const std::string& path, const char* how = "") {
    if (changes_.size() < limit_) {
      changes_.push_back(absl::StrCat(path, how));
    } else if (changes_.size() == limit_) {
      changes_.push_back("...");
    }
  }

  void CompareField(const Message& before, const Message& after, const FieldDescriptor& field,
                    const std::string& prefix) {
    const std::string path = absl::StrCat(prefix, field.name());
    const bool of_messages = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (field.is_repeated()) {
      if (of_messages && NameOf(field) != nullptr) {
        CompareNamed(before, after, field, path);
      } else if (!SameField(before, after, field)) {
        Changed(path);
      }
      return;
    }
    if (!of_messages) {
      if (!SameField(before, after, field)) Changed(path);
      return;
    }
    const Message& was = before.GetReflection()->GetMessage(before, &field);
    const Message& is = after.GetReflection()->GetMessage(after, &field);
    const bool had = before.GetReflection()->HasField(before, &field);
    const bool has = after.GetReflection()->HasField(after, &field);
    if (!had && !has) return;
    // A duration is one value.
    const bool whole = field.message_type()->full_name() == "google.protobuf.Duration";
    if (had != has && (whole || MessageDifferencer::Equals(was, is))) {
      Changed(path, whole ? "" : has ? " (added)" : " (removed)");
    } else if (whole) {
      if (!MessageDifferencer::Equals(was, is)) Changed(path);
    } else {
      Compare(was, is, path + ".");
    }
  }

  static bool SameField(const Message& before, const Message& after, const FieldDescriptor& field) {
    MessageDifferencer differencer;
    return differencer.CompareWithFields(before, after, {&field}, {&field});
  }

  void CompareNamed(const Message& before, const Message& after, const FieldDescriptor& field,
                    const std::string& path) {
    const FieldDescriptor& name = *NameOf(field);
    const auto items = [&](const Message& message) {
      std::map<std::string, const Message*> by_name;
      const int size = message.GetReflection()->FieldSize(message, &field);
      for (int i = 0; i < size; ++i) {
        const Message& item = message.GetReflection()->GetRepeatedMessage(message, &field, i);
        by_name.emplace(KeyText(item, name), &item);
      }
      return by_name;
    };
    const auto was = items(before);
    const auto is = items(after);
    for (const auto& [key, item] : was) {
      const auto found = is.find(key);
      const std::string of_item = absl::StrCat(path, ".", key);
      if (found == is.end()) {
        Changed(of_item, " (removed)");
      } else if (field.is_map() && field.message_type()->map_value()->cpp_type() !=
                                       FieldDescriptor::CPPTYPE_MESSAGE) {
        if (!MessageDifferencer::Equals(*item, *found->second)) Changed(of_item);
      } else if (field.is_map()) {
        const FieldDescriptor* value = field.message_type()->map_value();
        Compare(item->GetReflection()->GetMessage(*item, value),
                found->second->GetReflection()->GetMessage(*found->second, value), of_item + ".");
      } else {
        Compare(*item, *found->second, of_item + ".");
      }
    }
    for (const auto& [key, item] : is) {
      if (was.count(key) == 0) Changed(absl::StrCat(path, ".", key), " (added)");
    }
    if (field.is_map() || was.size() != is.size()) return;
    const int size = after.GetReflection()->FieldSize(after, &field);
    // Equal by name alone: some name stands there more than once.
    if (before.GetReflection()->FieldSize(before, &field) != size) return Changed(path);
    for (int i = 0; i < size; ++i) {
      if (KeyText(before.GetReflection()->GetRepeatedMessage(before, &field, i), name) !=
          KeyText(after.GetReflection()->GetRepeatedMessage(after, &field, i), name)) {
        Changed(path, " (order)");
        return;
      }
    }
  }

  const size_t limit_;
  std::vector<std::string> changes_;
};

}  // namespace

std::vector<std::string> ChangedFields(const Message& before, const Message& after, size_t limit) {
  Comparison comparison(limit);
  comparison.Compare(before, after, "");
  return comparison.Take();
}

}  // namespace penstock
