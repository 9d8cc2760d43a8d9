/** Looks whether the lists of a message are too long before it is decoded, for decoders that have no bound of their own: two bytes can be a message that takes a hundred. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import { countItem, enter, inputOf, leave, readShort, skip, type WireInput } from "./wire-input.js";

/** Passes by one message. */
type Walk = (input: WireInput) => void;

/** Passes by what stands behind one tag. */
type FieldWalk = (input: WireInput, tag: number) => void;

const walks = new WeakMap<DescMessage, Walk>();

/**
 * Passes if the lists and maps of a message, with those inside of them, have at most `limits.listItemsPerFrameMax` items.
 * @throws GmqError `malformed_frame`, also for bytes that are no message
 */
export function checkListItems(desc: DescMessage, bytes: Uint8Array): void {
  const walk = walks.get(desc) ?? walkOf(desc, new Map());
  walks.set(desc, walk);
  try {
    walk(inputOf(bytes));
  } catch (cause) {
    if (GmqError.is(cause)) throw cause;
    throw new GmqError("malformed_frame", "a message could not be parsed", { field: "message", cause });
  }
}

function walkOf(desc: DescMessage, known: Map<string, Walk>): Walk {
  const made = known.get(desc.typeName);
  if (made !== undefined) return made;
  const fields = new Map<number, FieldWalk>();
  const walk = fieldsWalk(fields);
  known.set(desc.typeName, walk);
  for (const field of desc.fields) {
    const own = fieldWalk(field, known);
    if (own !== undefined) fields.set(field.number, own);
  }
  return walk;
}

function fieldsWalk(fields: ReadonlyMap<number, FieldWalk>): Walk {
  return (input) => {
    const { end } = input;
    while (input.position < end) {
      const tag = readShort(input);
      const field = fields.get(tag >>> 3);
      if (field === undefined) skip(input, tag);
      else field(input, tag);
    }
  };
}

/** Undefined: there are no lists in it. */
function fieldWalk(field: DescField, known: Map<string, Walk>): FieldWalk | undefined {
  const name = `${field.parent.typeName}.${field.name}`;
  const message = field.message === undefined ? undefined : inside(walkOf(field.message, known));
  switch (field.fieldKind) {
    case "map": {
      const entry = message === undefined ? skip : inside(fieldsWalk(new Map([[mapValueNumber, message]])));
      return counted(name, entry);
    }
    case "list": {
      if (message !== undefined) return counted(name, message);
      const wireType = wireTypeOf(field.scalar);
      const one = counted(name, skip);
      return (input, tag) => ((tag & 7) === wireType ? one(input, tag) : packed(input, tag, one, wireType));
    }
    default:
      return message;
  }
}

/** Goes into what is a message as protobuf writes it; anything else is not the field's. */
function inside(walk: Walk): FieldWalk {
  return (input, tag) => {
    if ((tag & 7) !== lengthDelimited) return skip(input, tag);
    const outer = enter(input);
    walk(input);
    leave(input, outer);
  };
}

function counted(list: string, item: FieldWalk): FieldWalk {
  return (input, tag) => {
    countItem(input, list);
    item(input, tag);
  };
}

/** Numbers of a list one after the other. */
function packed(input: WireInput, tag: number, one: FieldWalk, wireType: number): void {
  if ((tag & 7) !== lengthDelimited) return skip(input, tag);
  const outer = enter(input);
  while (input.position < input.end) one(input, (tag & ~7) | wireType);
  leave(input, outer);
}

const mapValueNumber = 2;
const lengthDelimited = 2;

/** Of an item by itself. Without a scalar it is an enum's. */
function wireTypeOf(scalar: ScalarType | undefined): number {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return lengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return 5;
    default:
      return 0;
  }
}
