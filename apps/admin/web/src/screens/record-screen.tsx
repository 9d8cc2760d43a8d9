import { getRouteApi } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { isDecoderName } from "../decode/decoders.js";
import { RecordDetails } from "../messages/record-details.js";
import { ProblemNotice } from "../parts/notice.js";
import { Panel } from "../parts/panel.js";

const route = getRouteApi("/topics/$topic/records/$partition/$offset");

/** One record under an address of its own. */
export function RecordScreen(): ReactNode {
  const { topic, partition, offset } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  if (!/^\d{1,4}$/.test(partition) || !/^\d{1,19}$/.test(offset)) {
    return <ProblemNotice error={new Error("the address names no record")} />;
  }
  return (
    <Panel title={`Record ${offset}`} note={`partition ${partition}`} padded>
      <RecordDetails
        topic={topic}
        partition={Number(partition)}
        offset={BigInt(offset)}
        decoder={isDecoderName(search.as) ? search.as : "auto"}
        onDecoder={(value) =>
          void navigate({ search: { ...search, as: value === "auto" ? undefined : value }, replace: true })
        }
        keyDecoder={isDecoderName(search.keyas) ? search.keyas : "auto"}
        onKeyDecoder={(value) =>
          void navigate({ search: { ...search, keyas: value === "auto" ? undefined : value }, replace: true })
        }
      />
    </Panel>
  );
}
