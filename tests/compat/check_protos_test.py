"""Every kind of break of the protos is found, and what breaks nothing is not taken for one."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import check_protos

BEFORE = """syntax = "proto3";
package p;
message Order {
  reserved 9;
  reserved 20 to 29;
  reserved "colour";
  int64 count = 1;
  optional double price = 2;
  repeated string names = 3;
  map<string, int64> stock = 4;
  oneof paid { bool cash = 5; string card = 6; }
  Kind kind = 7;
  Part part = 8;
  string note = 10;
  message Part { string name = 1; }
}
enum Kind { NONE = 0; SMALL = 1; LARGE = 2; }
service Shop {
  rpc Buy(Order) returns (Order.Part);
  rpc Watch(Order) returns (stream Order.Part);
}
"""


class CheckProtosTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.protos = pathlib.Path(folder.name, "proto")
        self.surface = pathlib.Path(folder.name, "surface.txt")
        (self.protos / "shop").mkdir(parents=True)
        self.write(BEFORE)
        self.assertEqual(self.run_check("--update")[0], 0)

    def write(self, text):
        (self.protos / "shop/order.proto").write_text(text, encoding="utf-8")

    def run_check(self, *arguments):
        """(exit code, what it printed)"""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = check_protos.main(["--protos", str(self.protos), "--surface", str(self.surface),
                                      *arguments])
        return code, out.getvalue()

    def after(self, was, becomes):
        """What the check says once a line of BEFORE is another."""
        self.assertEqual(BEFORE.count(was), 1, was)
        self.write(BEFORE.replace(was, becomes))
        code, out = self.run_check()
        self.assertEqual(code, 1, out)
        return out

    def finds(self, was, becomes, *texts):
        out = self.after(was, becomes)
        for text in texts:
            self.assertIn(f"broken: shop/order.proto: {text}", out)

    def test_what_did_not_change_is_not_broken(self):
        code, out = self.run_check()
        self.assertEqual((code, out), (0, "4 messages, enums and services, 15 fields, values and "
                                          "RPCs: 0 broken, 0 new\n"))

    def test_a_number_reused_for_another_name(self):
        self.finds("string note = 10;", "string remark = 10;",
                   "message p.Order: number 10: was field 10 (string note), is field 10 (string "
                   "remark)")

    def test_a_number_reused_for_another_type(self):
        self.finds("int64 count = 1;", "double total = 1;",
                   "message p.Order: number 1: was field 1 (int64 count), is field 1 (double "
                   "total)")

    def test_another_number_for_a_name(self):
        self.finds("string note = 10;", "string note = 11;",
                   "message p.Order: was field 10 (string note), note has number 11 instead")

    def test_a_type_that_changed(self):
        self.finds("int64 count = 1;", "int32 count = 1;",
                   "message p.Order: number 1: was field 1 (int64 count), is field 1 (int32 count)")

    def test_a_message_type_that_changed(self):
        self.finds("Part part = 8;", "Order part = 8;", "message p.Order: number 8: was field 8 "
                   "(p.Order.Part part), is field 8 (p.Order part)")

    def test_a_map_whose_values_changed(self):
        self.finds("map<string, int64> stock", "map<string, double> stock",
                   "message p.Order: number 4: was field 4 (map<string, int64> stock)")

    def test_a_label_that_changed(self):
        self.finds("int64 count = 1;", "repeated int64 count = 1;", "message p.Order: number 1: "
                   "was field 1 (int64 count), is field 1 (repeated int64 count)")

    def test_packing_that_changed(self):
        self.write(BEFORE.replace("string note = 10;", "repeated int64 note = 10;"))
        self.run_check("--update")
        self.write(BEFORE.replace("string note = 10;",
                                  "repeated int64 note = 10 [packed = false];"))
        code, out = self.run_check()
        self.assertEqual(code, 1)
        self.assertIn("is field 10 (repeated int64 [packed = false] note)", out)

    def test_presence_that_changed(self):
        self.finds("optional double price", "double price", "message p.Order: number 2: "
                   "was field 2 (optional double price), is field 2 (double price)")

    def test_a_field_that_left_its_oneof(self):
        self.finds("oneof paid { bool cash = 5; string card = 6; }",
                   "oneof paid { bool cash = 5; } string card = 6;", "message p.Order: number 6: "
                   "was field 6 (oneof paid string card), is field 6 (string card)")

    def test_a_field_that_went_without_reserved(self):
        self.finds("  string note = 10;\n", "", "message p.Order: was field 10 (string note), "
                   'is gone without `reserved` of number 10 and name "note"')

    def test_a_field_that_went_with_its_number_reserved_alone(self):
        self.finds("string note = 10;", "reserved 10;", "message p.Order: was field 10 (string "
                   'note), is gone without `reserved` of name "note"')

    def test_a_field_that_went_with_its_name_reserved_alone(self):
        self.finds("string note = 10;", 'reserved "note";', "message p.Order: was field 10 "
                   "(string note), is gone without `reserved` of number 10")

    def test_a_field_that_went_with_both_reserved_breaks_nothing(self):
        out = self.after("string note = 10;", 'reserved 10; reserved "note";')
        self.assertIn(" 0 broken, 1 new\n", out)
        self.assertIn("not in the stored surface: shop/order.proto: message p.Order: what is "
                      "reserved", out)

    def test_a_reserved_number_that_is_used(self):
        self.finds("  reserved 9;\n", "  string size = 9;\n", "message p.Order: number 9: was "
                   "reserved, is field 9 (string size)")

    def test_reserved_numbers_that_are_not_any_more(self):
        self.finds("reserved 20 to 29;", "reserved 20 to 28;",
                   "message p.Order: numbers 20 to 29: were reserved, 29 is not any more")

    def test_a_hole_in_what_was_reserved(self):
        self.finds("reserved 20 to 29;", "reserved 20 to 23, 25 to max;",
                   "message p.Order: numbers 20 to 29: were reserved, 24 is not any more")

    def test_a_reserved_name_that_is_not_any_more(self):
        self.finds('  reserved "colour";\n', "",
                   'message p.Order: name "colour": was reserved, is not')

    def test_an_enum_value_that_was_renumbered(self):
        self.finds("SMALL = 1; LARGE = 2;", "SMALL = 1; LARGE = 3;",
                   "enum p.Kind: was value 2 (LARGE), LARGE has number 3 instead")

    def test_enum_values_that_changed_places(self):
        self.finds("SMALL = 1; LARGE = 2;", "LARGE = 1; SMALL = 2;",
                   "enum p.Kind: number 1: was value 1 (SMALL), is value 1 (LARGE)",
                   "enum p.Kind: number 2: was value 2 (LARGE), is value 2 (SMALL)")

    def test_an_enum_value_that_went(self):
        self.finds(" LARGE = 2;", "",
                   "enum p.Kind: was value 2 (LARGE), is gone without `reserved`")

    def test_a_message_that_went(self):
        self.write(BEFORE.replace("Part", "Piece"))
        code, out = self.run_check()
        self.assertEqual(code, 1)
        self.assertIn("broken: shop/order.proto: message p.Order.Part: was there, is gone", out)

    def test_an_enum_that_became_a_message(self):
        self.finds("enum Kind { NONE = 0; SMALL = 1; LARGE = 2; }", "message Kind {}",
                   "enum p.Kind: was an enum, is a message")

    def test_an_rpc_that_went(self):
        self.finds("  rpc Buy(Order) returns (Order.Part);\n", "",
                   "service p.Shop: rpc Buy: was (p.Order) returns (p.Order.Part), is gone")

    def test_an_rpc_with_another_type(self):
        self.finds("rpc Buy(Order) returns (Order.Part);", "rpc Buy(Order) returns (Order);",
                   "service p.Shop: rpc Buy: was (p.Order) returns (p.Order.Part), is (p.Order) "
                   "returns (p.Order)")

    def test_an_rpc_that_streams(self):
        self.finds("rpc Buy(Order)", "rpc Buy(stream Order)",
                   "service p.Shop: rpc Buy: was (p.Order) returns")

    def test_a_package_that_changed(self):
        self.finds("package p;", "package q;", "message p.Order: was there, is gone")

    def test_what_is_new_is_held_from_its_first_day(self):
        out = self.after("string note = 10;", "string note = 10; string more = 11;")
        self.assertIn(" 0 broken, 1 new\n", out)
        self.assertIn("not in the stored surface: shop/order.proto: message p.Order: "
                      "field 11 (string more)", out)
        self.assertEqual(self.run_check("--update")[0], 0)
        self.assertEqual(self.run_check()[0], 0)

    def test_an_update_says_what_it_takes_for_granted(self):
        self.write(BEFORE.replace("int64 count", "int32 count"))
        code, out = self.run_check("--update")
        self.assertEqual(code, 0)
        self.assertIn("taken for granted: shop/order.proto: message p.Order: number 1", out)
        self.assertEqual(self.run_check()[0], 0)

    def test_protos_that_do_not_compile_are_an_error(self):
        self.write("message {")
        code, out = self.run_check()
        self.assertEqual(code, 1)
        self.assertIn("order.proto:1:9", out)

    def test_a_surface_that_is_not_there_or_not_one_is_an_error(self):
        self.surface.write_text("  what is this?\n", encoding="utf-8")
        code, out = self.run_check()
        self.assertEqual(code, 1)
        self.assertIn("line 1: wanted a message, enum, service or one of its members", out)
        self.surface.unlink()
        self.assertEqual(self.run_check()[0], 1)

    def test_an_empty_folder_and_an_empty_surface_are_errors(self):
        (self.protos / "shop/order.proto").unlink()
        code, out = self.run_check()
        self.assertEqual(code, 1)
        self.assertIn("no .proto files", out)
        self.write('syntax = "proto3";')
        self.surface.write_text("", encoding="utf-8")
        self.assertEqual(self.run_check()[0], 1)


if __name__ == "__main__":
    unittest.main()
