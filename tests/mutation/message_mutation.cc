#include "tests/mutation/message_mutation.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <vector>

#include "tests/mutation/random_words.h"

namespace penstock {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kDeepest = 8;
// Elements that one mutation adds at most.
constexpr uint64_t kMany = 2000;

void Collect(Message& message, int depth, std::vector<Message*>& all) {
  all.push_back(&message);
  if (depth == 0) return;
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      Collect(*reflection.MutableMessage(&message, field), depth - 1, all);
      continue;
    }
    // Many elements are much alike.
    const int size = std::min(reflection.FieldSize(message, field), 8);
    for (int i = 0; i < size; ++i) {
      Collect(*reflection.MutableRepeatedMessage(&message, field, i), depth - 1, all);
    }
  }
}

// Bytes of tensors are cut and grown rather than replaced: else nothing beyond their size is
// reached.
std::string OddBytes(std::string bytes, CounterRandom& random) {
  if (bytes.empty() || OneIn(3, random)) return OddText(random);
  const size_t at = random.Below(bytes.size());
  switch (random.Below(5)) {
    case 0:
      bytes.resize(at);
      break;
    case 1:
      bytes.append(1 + random.Below(8), '\0');
      break;
    case 2:
      bytes += bytes;
      break;
    case 3:
      // Of an FP32 a NaN or an infinity, of a BYTES element's length much more than there is.
      for (size_t i = at; i < std::min(at + 4, bytes.size()); ++i) bytes[i] = '\xff';
      break;
    default:
      bytes[at] = static_cast<char>(random.Below(256));
  }
  return bytes;
}

void SetOne(Message& message, const FieldDescriptor* field, CounterRandom& random) {
  const Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&message, field, static_cast<int32_t>(OddInteger(random)));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, field, static_cast<int64_t>(OddInteger(random)));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(&message, field, static_cast<uint32_t>(OddInteger(random)));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, field, OddInteger(random));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, field, OddDouble(random));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(&message, field, static_cast<float>(OddDouble(random)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, field, OneIn(2, random));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(&message, field, static_cast<int>(random.Below(9)) - 2);
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(&message, field,
                                  OddBytes(reflection.GetString(message, field), random));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      MutateMessage(*reflection.MutableMessage(&message, field), random);
  }
}

void SetElement(Message& message, const FieldDescriptor* field, int i, CounterRandom& random) {
  const Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetRepeatedInt32(&message, field, i,
                                         static_cast<int32_t>(OddInteger(random)));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetRepeatedInt64(&message, field, i,
                                         static_cast<int64_t>(OddInteger(random)));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetRepeatedUInt32(&message, field, i,
                                          static_cast<uint32_t>(OddInteger(random)));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetRepeatedUInt64(&message, field, i, OddInteger(random));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetRepeatedDouble(&message, field, i, OddDouble(random));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetRepeatedFloat(&message, field, i, static_cast<float>(OddDouble(random)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetRepeatedBool(&message, field, i, OneIn(2, random));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetRepeatedEnumValue(&message, field, i,
                                             static_cast<int>(random.Below(9)) - 2);
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetRepeatedString(
          &message, field, i, OddBytes(reflection.GetRepeatedString(message, field, i), random));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      MutateMessage(*reflection.MutableRepeatedMessage(&message, field, i), random);
  }
}

void AddElement(Message& message, const FieldDescriptor* field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.AddInt32(&message, field, 1);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.AddInt64(&message, field, 1);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.AddUInt32(&message, field, 1);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.AddUInt64(&message, field, 1);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.AddDouble(&message, field, 1);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.AddFloat(&message, field, 1);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.AddBool(&message, field, true);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.AddEnumValue(&message, field, 0);
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.AddString(&message, field, "a");
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      // A copy of one that is there: twice the same name, more often than not.
      const int size = reflection.FieldSize(message, field);
      Message* const added = reflection.AddMessage(&message, field);
      if (size > 0) added->CopyFrom(reflection.GetRepeatedMessage(message, field, size - 1));
    }
  }
}

void MutateRepeated(Message& message, const FieldDescriptor* field, CounterRandom& random) {
  const Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, field);
  switch (random.Below(8)) {
    case 0:
      return reflection.ClearField(&message, field);
    case 1:
      if (size > 0) reflection.RemoveLast(&message, field);
      return;
    case 2:
      if (size > 1) reflection.SwapElements(&message, field, 0, size - 1);
      return;
    case 3: {
      const uint64_t more = OneIn(10, random) ? random.Below(kMany) : random.Below(20);
      for (uint64_t i = 0; i < more; ++i) AddElement(message, field);
      return;
    }
    case 4:
      AddElement(message, field);
      return;
    default:
      if (size == 0) AddElement(message, field);
      return SetElement(message, field,
                        static_cast<int>(random.Below(static_cast<uint64_t>(std::max(size, 1)))),
                        random);
  }
}

}  // namespace

void MutateMessage(Message& message, CounterRandom& random) {
  std::vector<Message*> all;
  Collect(message, kDeepest, all);
  Message& chosen = *all[random.Below(all.size())];
  const google::protobuf::Descriptor& type = *chosen.GetDescriptor();
  if (type.field_count() == 0) return;
  const FieldDescriptor* const field =
      type.field(static_cast<int>(random.Below(static_cast<uint64_t>(type.field_count()))));
  if (field->is_repeated()) {
    MutateRepeated(chosen, field, random);
  } else if (OneIn(5, random)) {
    chosen.GetReflection()->ClearField(&chosen, field);
  } else {
    SetOne(chosen, field, random);
  }
}

}  // namespace penstock
