CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.attempts (
    call_id text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    stage bigint NOT NULL,
    pbx text NOT NULL COLLATE pg_catalog."C",
    endpoint text COLLATE pg_catalog."C",
    trunk text COLLATE pg_catalog."C",
    dialled text COLLATE pg_catalog."C",
    began_us bigint,
    ended_us bigint,
    sip_code bigint,
    sip_class bigint,
    grade text NOT NULL COLLATE pg_catalog."C",
    disposition text NOT NULL COLLATE pg_catalog."C",
    dial_status text COLLATE pg_catalog."C",
    q850 bigint,
    pdd_ms bigint,
    fault_side text NOT NULL COLLATE pg_catalog."C",
    at_us bigint NOT NULL
)
PARTITION BY RANGE (at_us);
CREATE TABLE public.attempts_2026_11 (
    call_id text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    stage bigint NOT NULL,
    pbx text NOT NULL COLLATE pg_catalog."C",
    endpoint text COLLATE pg_catalog."C",
    trunk text COLLATE pg_catalog."C",
    dialled text COLLATE pg_catalog."C",
    began_us bigint,
    ended_us bigint,
    sip_code bigint,
    sip_class bigint,
    grade text NOT NULL COLLATE pg_catalog."C",
    disposition text NOT NULL COLLATE pg_catalog."C",
    dial_status text COLLATE pg_catalog."C",
    q850 bigint,
    pdd_ms bigint,
    fault_side text NOT NULL COLLATE pg_catalog."C",
    at_us bigint NOT NULL
);
CREATE TABLE public.calls (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    at_us bigint NOT NULL,
    pbx text NOT NULL COLLATE pg_catalog."C",
    linkedid text NOT NULL COLLATE pg_catalog."C",
    started_us bigint,
    ended_us bigint,
    direction text COLLATE pg_catalog."C",
    outcome text NOT NULL COLLATE pg_catalog."C",
    disposition text NOT NULL COLLATE pg_catalog."C",
    sip_code bigint,
    sip_class bigint,
    grade text NOT NULL COLLATE pg_catalog."C",
    trunk text COLLATE pg_catalog."C",
    endpoint text COLLATE pg_catalog."C",
    route text NOT NULL COLLATE pg_catalog."C",
    caller_endpoint text COLLATE pg_catalog."C",
    caller_number text COLLATE pg_catalog."C",
    dialled text COLLATE pg_catalog."C",
    released_by text NOT NULL COLLATE pg_catalog."C",
    fault_side text NOT NULL COLLATE pg_catalog."C",
    partial boolean NOT NULL,
    record text NOT NULL COLLATE pg_catalog."C"
)
PARTITION BY RANGE (at_us);
CREATE TABLE public.calls_2026_11 (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    at_us bigint NOT NULL,
    pbx text NOT NULL COLLATE pg_catalog."C",
    linkedid text NOT NULL COLLATE pg_catalog."C",
    started_us bigint,
    ended_us bigint,
    direction text COLLATE pg_catalog."C",
    outcome text NOT NULL COLLATE pg_catalog."C",
    disposition text NOT NULL COLLATE pg_catalog."C",
    sip_code bigint,
    sip_class bigint,
    grade text NOT NULL COLLATE pg_catalog."C",
    trunk text COLLATE pg_catalog."C",
    endpoint text COLLATE pg_catalog."C",
    route text NOT NULL COLLATE pg_catalog."C",
    caller_endpoint text COLLATE pg_catalog."C",
    caller_number text COLLATE pg_catalog."C",
    dialled text COLLATE pg_catalog."C",
    released_by text NOT NULL COLLATE pg_catalog."C",
    fault_side text NOT NULL COLLATE pg_catalog."C",
    partial boolean NOT NULL,
    record text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.gaps (
    id text NOT NULL COLLATE pg_catalog."C",
    pbx text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    began_us bigint NOT NULL,
    ended_us bigint,
    reason text NOT NULL COLLATE pg_catalog."C",
    blind boolean NOT NULL
);
CREATE TABLE public.hour_pdd (
    hour bigint NOT NULL,
    trunk text NOT NULL COLLATE pg_catalog."C",
    pdd bigint NOT NULL,
    pbx text NOT NULL COLLATE pg_catalog."C",
    total bigint NOT NULL
);
CREATE TABLE public.hour_totals (
    counted text NOT NULL COLLATE pg_catalog."C",
    hour bigint NOT NULL,
    trunk text NOT NULL COLLATE pg_catalog."C",
    sip_code bigint NOT NULL,
    disposition text NOT NULL COLLATE pg_catalog."C",
    outcome text NOT NULL COLLATE pg_catalog."C",
    pbx text NOT NULL COLLATE pg_catalog."C",
    direction text NOT NULL COLLATE pg_catalog."C",
    total bigint NOT NULL,
    talk_ms bigint NOT NULL
);
CREATE TABLE public.listened (
    pbx text NOT NULL COLLATE pg_catalog."C",
    until_us bigint NOT NULL
);
CREATE TABLE public.minute_pdd (
    minute bigint NOT NULL,
    trunk text NOT NULL COLLATE pg_catalog."C",
    pdd bigint NOT NULL,
    pbx text NOT NULL COLLATE pg_catalog."C",
    total bigint NOT NULL
);
CREATE TABLE public.minute_totals (
    counted text NOT NULL COLLATE pg_catalog."C",
    minute bigint NOT NULL,
    sip_code bigint NOT NULL,
    disposition text NOT NULL COLLATE pg_catalog."C",
    outcome text NOT NULL COLLATE pg_catalog."C",
    pbx text NOT NULL COLLATE pg_catalog."C",
    total bigint NOT NULL,
    talk_ms bigint NOT NULL
);
CREATE TABLE public.open_calls (
    pbx text NOT NULL COLLATE pg_catalog."C",
    linkedid text NOT NULL COLLATE pg_catalog."C",
    seen_us bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.totals (
    counted text NOT NULL COLLATE pg_catalog."C",
    minute bigint NOT NULL,
    trunk text NOT NULL COLLATE pg_catalog."C",
    sip_code bigint NOT NULL,
    disposition text NOT NULL COLLATE pg_catalog."C",
    outcome text NOT NULL COLLATE pg_catalog."C",
    pbx text NOT NULL COLLATE pg_catalog."C",
    direction text NOT NULL COLLATE pg_catalog."C",
    total bigint NOT NULL,
    talk_ms bigint NOT NULL
);
CREATE TABLE public.writing (
    "only" boolean NOT NULL,
    "position" bigint NOT NULL,
    CONSTRAINT writing_only_check CHECK ("only")
);
CREATE TABLE public.written_ids (
    id text NOT NULL COLLATE pg_catalog."C",
    at_us bigint NOT NULL
);
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_2026_11 FOR VALUES FROM ('1793491200000000') TO ('1796083200000000');
ALTER TABLE ONLY public.calls ATTACH PARTITION public.calls_2026_11 FOR VALUES FROM ('1793491200000000') TO ('1796083200000000');
INSERT INTO public.alembic_version VALUES ('0003');
INSERT INTO public.attempts_2026_11 VALUES ('6553f1006716af79c394a657a8c59893', 1, 1, 'pbx', 'carrier-a-out', 'carrier-a', '+4930123456', 1793534401000000, 1793534402000000, 503, 5, 'wire', 'congestion', 'CONGESTION', 34, 120, 'carrier', 1793534403000000);
INSERT INTO public.attempts_2026_11 VALUES ('6553f100376c27b482d10fd57e74c3c8', 1, 1, 'pbx', 'carrier-b-out', 'carrier-b', '+4930123456', 1793534402000000, 1793534403000000, 486, 4, 'wire', 'busy', 'CONGESTION', 34, 120, 'carrier', 1793534404000000);
INSERT INTO public.attempts_2026_11 VALUES ('6553f100b80e14b6209a57af5d6efe61', 1, 1, 'pbx', 'carrier-a-out', 'carrier-a', '+4930123456', 1793534403000000, 1793534404000000, 503, 5, 'wire', 'congestion', 'CONGESTION', 34, 120, 'carrier', 1793534405000000);
INSERT INTO public.attempts_2026_11 VALUES ('6553f100b80e14b6209a57af5d6efe61', 2, 2, 'pbx', 'carrier-b-out', 'carrier-b', '+4930123456', 1793534403000000, 1793534404000000, 200, 2, 'wire', 'answered', 'CONGESTION', 34, 120, 'carrier', 1793534405000000);
INSERT INTO public.attempts_2026_11 VALUES ('6553f100aa6d53f853896e7efd01296c', 1, 1, 'pbx', 'carrier-a-out', 'carrier-a', '+4930123456', 1793534404000000, 1793534405000000, NULL, NULL, 'wire', 'cancelled', 'CONGESTION', 34, 120, 'carrier', 1793534406000000);
INSERT INTO public.calls_2026_11 VALUES (1, '6553f1006716af79c394a657a8c59893', 1793534403000000, 'pbx', '1700000000.1', 1793534401000000, 1793534403000000, 'outbound', 'failed', 'congestion', 503, 5, 'wire', 'carrier-a', 'carrier-a-out', '
carrier-a
carrier-a-out
', 'alice', '101', '+4930123456', 'network', 'carrier', false, '{"id":"6553f1006716af79c394a657a8c59893","pbx":"pbx","asterisk_version":"22.5.0","linkedid":"1700000000.1","started_at":"2026-11-01T12:00:01.000000Z","ended_at":"2026-11-01T12:00:03.000000Z","answered_at":null,"duration_ms":2000,"direction":"outbound","caller":{"number":"101","name":"Alice","endpoint":"alice"},"dialled":"+4930123456","context":"internal","exten":"0030123456","account":null,"outcome":"failed","disposition":"congestion","sip":{"code":503,"phrase":"Service Unavailable","class":5,"class_name":"Server Error","class_meaning":"it failed","meaning":"No free channel.","reference":"RFC 3261","candidates":null},"evidence":{"grade":"wire","source":"hangupcause","losers":[],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"released_by":"network","fault":{"side":"carrier","reason":"The carrier says so itself."},"hint":"Send the call through another trunk.","attempts":[{"seq":1,"stage":1,"channel":"PJSIP/carrier-a-00000001","uniqueid":"1700000000.1","endpoint":"carrier-a-out","trunk":"carrier-a","dialled":"+4930123456","sip_call_id":"abc@192.0.2.1","began_at":"2026-11-01T12:00:01.000000Z","ended_at":"2026-11-01T12:00:02.000000Z","pdd_ms":120,"ring_ms":null,"dial_status":"CONGESTION","forward":null,"disposition":"congestion","sip":{"code":503,"phrase":"Service Unavailable","class":5,"class_name":"Server Error","class_meaning":"it failed","meaning":"No free channel.","reference":"RFC 3261","candidates":null},"evidence":{"grade":"wire","source":"hangupcause","losers":[{"grade":"reported","source":"techcause","code":503,"phrase":null}],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"fault":{"side":"carrier","reason":"The carrier says so itself."},"remote_reason":null,"early_reason":null,"remote_warning":null,"retry_after_s":null,"redress":null,"ladder":null,"rule":null}],"partial":false,"gap_ids":[],"rule":null,"backfilled":false,"count":1,"sip_call_id":null,"ladder":null}');
INSERT INTO public.calls_2026_11 VALUES (2, '6553f100376c27b482d10fd57e74c3c8', 1793534404000000, 'pbx', '1700000000.2', 1793534402000000, 1793534404000000, 'outbound', 'failed', 'busy', 486, 4, 'wire', 'carrier-b', 'carrier-b-out', '
carrier-b
carrier-b-out
', 'alice', '101', '+4930123456', 'network', 'carrier', false, '{"id":"6553f100376c27b482d10fd57e74c3c8","pbx":"pbx","asterisk_version":"22.5.0","linkedid":"1700000000.2","started_at":"2026-11-01T12:00:02.000000Z","ended_at":"2026-11-01T12:00:04.000000Z","answered_at":null,"duration_ms":2000,"direction":"outbound","caller":{"number":"101","name":"Alice","endpoint":"alice"},"dialled":"+4930123456","context":"internal","exten":"0030123456","account":null,"outcome":"failed","disposition":"busy","sip":{"code":486,"phrase":"Busy Here","class":4,"class_name":"Client Error","class_meaning":"it cannot","meaning":"The called party is busy.","reference":"RFC 3261","candidates":null},"evidence":{"grade":"wire","source":"hangupcause","losers":[],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"released_by":"network","fault":{"side":"carrier","reason":"The carrier says so itself."},"hint":"Send the call through another trunk.","attempts":[{"seq":1,"stage":1,"channel":"PJSIP/carrier-b-00000001","uniqueid":"1700000000.1","endpoint":"carrier-b-out","trunk":"carrier-b","dialled":"+4930123456","sip_call_id":"abc@192.0.2.1","began_at":"2026-11-01T12:00:02.000000Z","ended_at":"2026-11-01T12:00:03.000000Z","pdd_ms":120,"ring_ms":null,"dial_status":"CONGESTION","forward":null,"disposition":"busy","sip":{"code":486,"phrase":"Busy Here","class":4,"class_name":"Client Error","class_meaning":"it cannot","meaning":"The called party is busy.","reference":"RFC 3261","candidates":null},"evidence":{"grade":"wire","source":"hangupcause","losers":[{"grade":"reported","source":"techcause","code":486,"phrase":null}],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"fault":{"side":"carrier","reason":"The carrier says so itself."},"remote_reason":null,"early_reason":null,"remote_warning":null,"retry_after_s":null,"redress":null,"ladder":null,"rule":null}],"partial":false,"gap_ids":[],"rule":null,"backfilled":false,"count":1,"sip_call_id":null,"ladder":null}');
INSERT INTO public.calls_2026_11 VALUES (3, '6553f100b80e14b6209a57af5d6efe61', 1793534405000000, 'pbx', '1700000000.3', 1793534403000000, 1793534405000000, 'outbound', 'rescued', 'answered', 200, 2, 'wire', 'carrier-b', 'carrier-b-out', '
carrier-a
carrier-a-out
carrier-b
carrier-b-out
', 'alice', '101', '+4930123456', 'network', 'carrier', false, '{"id":"6553f100b80e14b6209a57af5d6efe61","pbx":"pbx","asterisk_version":"22.5.0","linkedid":"1700000000.3","started_at":"2026-11-01T12:00:03.000000Z","ended_at":"2026-11-01T12:00:05.000000Z","answered_at":"2026-11-01T12:00:04.000000Z","duration_ms":2000,"direction":"outbound","caller":{"number":"101","name":"Alice","endpoint":"alice"},"dialled":"+4930123456","context":"internal","exten":"0030123456","account":null,"outcome":"rescued","disposition":"answered","sip":{"code":200,"phrase":"OK","class":2,"class_name":"Success","class_meaning":"it worked","meaning":"The call was answered.","reference":"RFC 3261","candidates":null},"evidence":{"grade":"wire","source":"hangupcause","losers":[],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"released_by":"network","fault":{"side":"carrier","reason":"The carrier says so itself."},"hint":null,"attempts":[{"seq":1,"stage":1,"channel":"PJSIP/carrier-a-00000001","uniqueid":"1700000000.1","endpoint":"carrier-a-out","trunk":"carrier-a","dialled":"+4930123456","sip_call_id":"abc@192.0.2.1","began_at":"2026-11-01T12:00:03.000000Z","ended_at":"2026-11-01T12:00:04.000000Z","pdd_ms":120,"ring_ms":null,"dial_status":"CONGESTION","forward":null,"disposition":"congestion","sip":{"code":503,"phrase":"Service Unavailable","class":5,"class_name":"Server Error","class_meaning":"it failed","meaning":"No free channel.","reference":"RFC 3261","candidates":null},"evidence":{"grade":"wire","source":"hangupcause","losers":[{"grade":"reported","source":"techcause","code":503,"phrase":null}],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"fault":{"side":"carrier","reason":"The carrier says so itself."},"remote_reason":null,"early_reason":null,"remote_warning":null,"retry_after_s":null,"redress":null,"ladder":null,"rule":null},{"seq":2,"stage":2,"channel":"PJSIP/carrier-b-00000002","uniqueid":"1700000000.2","endpoint":"carrier-b-out","trunk":"carrier-b","dialled":"+4930123456","sip_call_id":"abc@192.0.2.1","began_at":"2026-11-01T12:00:03.000000Z","ended_at":"2026-11-01T12:00:04.000000Z","pdd_ms":120,"ring_ms":null,"dial_status":"CONGESTION","forward":null,"disposition":"answered","sip":{"code":200,"phrase":"OK","class":2,"class_name":"Success","class_meaning":"it worked","meaning":"The call was answered.","reference":"RFC 3261","candidates":null},"evidence":{"grade":"wire","source":"hangupcause","losers":[{"grade":"reported","source":"techcause","code":200,"phrase":null}],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"fault":{"side":"carrier","reason":"The carrier says so itself."},"remote_reason":null,"early_reason":null,"remote_warning":null,"retry_after_s":null,"redress":null,"ladder":null,"rule":null}],"partial":false,"gap_ids":[],"rule":null,"backfilled":false,"count":1,"sip_call_id":null,"ladder":null}');
INSERT INTO public.calls_2026_11 VALUES (4, '6553f100aa6d53f853896e7efd01296c', 1793534406000000, 'pbx', '1700000000.4', 1793534404000000, 1793534406000000, 'outbound', 'abandoned', 'cancelled', NULL, NULL, 'candidates', 'carrier-a', 'carrier-a-out', '
carrier-a
carrier-a-out
', 'alice', '101', '+4930123456', 'network', 'carrier', false, '{"id":"6553f100aa6d53f853896e7efd01296c","pbx":"pbx","asterisk_version":"22.5.0","linkedid":"1700000000.4","started_at":"2026-11-01T12:00:04.000000Z","ended_at":"2026-11-01T12:00:06.000000Z","answered_at":null,"duration_ms":2000,"direction":"outbound","caller":{"number":"101","name":"Alice","endpoint":"alice"},"dialled":"+4930123456","context":"internal","exten":"0030123456","account":null,"outcome":"abandoned","disposition":"cancelled","sip":{"code":null,"phrase":null,"class":null,"class_name":null,"class_meaning":null,"meaning":null,"reference":null,"candidates":[487,600]},"evidence":{"grade":"candidates","source":"q850","losers":[],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"released_by":"network","fault":{"side":"carrier","reason":"The carrier says so itself."},"hint":"Send the call through another trunk.","attempts":[{"seq":1,"stage":1,"channel":"PJSIP/carrier-a-00000001","uniqueid":"1700000000.1","endpoint":"carrier-a-out","trunk":"carrier-a","dialled":"+4930123456","sip_call_id":"abc@192.0.2.1","began_at":"2026-11-01T12:00:04.000000Z","ended_at":"2026-11-01T12:00:05.000000Z","pdd_ms":120,"ring_ms":null,"dial_status":"CONGESTION","forward":null,"disposition":"cancelled","sip":{"code":null,"phrase":null,"class":null,"class_name":null,"class_meaning":null,"meaning":null,"reference":null,"candidates":[487,600]},"evidence":{"grade":"wire","source":"hangupcause","losers":[{"grade":"reported","source":"techcause","code":null,"phrase":null}],"conflict":false},"q850":{"cause":34,"text":"Circuit/channel congestion"},"fault":{"side":"carrier","reason":"The carrier says so itself."},"remote_reason":null,"early_reason":null,"remote_warning":null,"retry_after_s":null,"redress":null,"ladder":null,"rule":null}],"partial":false,"gap_ids":[],"rule":null,"backfilled":false,"count":1,"sip_call_id":null,"ladder":null}');
INSERT INTO public.gaps VALUES ('gap-1', 'pbx', 'ami', 1793534400000000, 1793534403000000, 'Asterisk restarted', true);
INSERT INTO public.hour_pdd VALUES (498204, 'carrier-a', 15, 'pbx', 4);
INSERT INTO public.hour_pdd VALUES (498204, 'carrier-b', 15, 'pbx', 2);
INSERT INTO public.hour_totals VALUES ('calls', 498204, 'carrier-a', 503, 'congestion', 'failed', 'pbx', 'outbound', 1, 0);
INSERT INTO public.hour_totals VALUES ('attempts', 498204, 'carrier-a', 503, 'congestion', '', 'pbx', 'outbound', 2, 0);
INSERT INTO public.hour_totals VALUES ('calls', 498204, 'carrier-b', 486, 'busy', 'failed', 'pbx', 'outbound', 1, 0);
INSERT INTO public.hour_totals VALUES ('attempts', 498204, 'carrier-b', 486, 'busy', '', 'pbx', 'outbound', 1, 0);
INSERT INTO public.hour_totals VALUES ('calls', 498204, 'carrier-b', 200, 'answered', 'rescued', 'pbx', 'outbound', 1, 1000);
INSERT INTO public.hour_totals VALUES ('attempts', 498204, 'carrier-b', 200, 'answered', '', 'pbx', 'outbound', 1, 0);
INSERT INTO public.hour_totals VALUES ('calls', 498204, 'carrier-a', 0, 'cancelled', 'abandoned', 'pbx', 'outbound', 1, 0);
INSERT INTO public.hour_totals VALUES ('attempts', 498204, 'carrier-a', 0, 'cancelled', '', 'pbx', 'outbound', 1, 0);
INSERT INTO public.hour_totals VALUES ('calls', 498204, 'carrier-a', 200, 'answered', 'answered', 'pbx', 'outbound', 1, 1000);
INSERT INTO public.hour_totals VALUES ('attempts', 498204, 'carrier-a', 200, 'answered', '', 'pbx', 'outbound', 1, 0);
INSERT INTO public.minute_pdd VALUES (29892240, 'carrier-a', 15, 'pbx', 4);
INSERT INTO public.minute_pdd VALUES (29892240, 'carrier-b', 15, 'pbx', 2);
INSERT INTO public.minute_totals VALUES ('calls', 29892240, 503, 'congestion', 'failed', 'pbx', 1, 0);
INSERT INTO public.minute_totals VALUES ('attempts', 29892240, 503, 'congestion', '', 'pbx', 2, 0);
INSERT INTO public.minute_totals VALUES ('calls', 29892240, 486, 'busy', 'failed', 'pbx', 1, 0);
INSERT INTO public.minute_totals VALUES ('attempts', 29892240, 486, 'busy', '', 'pbx', 1, 0);
INSERT INTO public.minute_totals VALUES ('calls', 29892240, 200, 'answered', 'rescued', 'pbx', 1, 1000);
INSERT INTO public.minute_totals VALUES ('attempts', 29892240, 200, 'answered', '', 'pbx', 2, 0);
INSERT INTO public.minute_totals VALUES ('calls', 29892240, 0, 'cancelled', 'abandoned', 'pbx', 1, 0);
INSERT INTO public.minute_totals VALUES ('attempts', 29892240, 0, 'cancelled', '', 'pbx', 1, 0);
INSERT INTO public.minute_totals VALUES ('calls', 29892240, 200, 'answered', 'answered', 'pbx', 1, 1000);
INSERT INTO public.open_calls VALUES ('pbx', '1700000000.9', 1793534400000000, '{"legs": []}');
INSERT INTO public.totals VALUES ('calls', 29892240, 'carrier-a', 503, 'congestion', 'failed', 'pbx', 'outbound', 1, 0);
INSERT INTO public.totals VALUES ('attempts', 29892240, 'carrier-a', 503, 'congestion', '', 'pbx', 'outbound', 2, 0);
INSERT INTO public.totals VALUES ('calls', 29892240, 'carrier-b', 486, 'busy', 'failed', 'pbx', 'outbound', 1, 0);
INSERT INTO public.totals VALUES ('attempts', 29892240, 'carrier-b', 486, 'busy', '', 'pbx', 'outbound', 1, 0);
INSERT INTO public.totals VALUES ('calls', 29892240, 'carrier-b', 200, 'answered', 'rescued', 'pbx', 'outbound', 1, 1000);
INSERT INTO public.totals VALUES ('attempts', 29892240, 'carrier-b', 200, 'answered', '', 'pbx', 'outbound', 1, 0);
INSERT INTO public.totals VALUES ('calls', 29892240, 'carrier-a', 0, 'cancelled', 'abandoned', 'pbx', 'outbound', 1, 0);
INSERT INTO public.totals VALUES ('attempts', 29892240, 'carrier-a', 0, 'cancelled', '', 'pbx', 'outbound', 1, 0);
INSERT INTO public.totals VALUES ('calls', 29892240, 'carrier-a', 200, 'answered', 'answered', 'pbx', 'outbound', 1, 1000);
INSERT INTO public.totals VALUES ('attempts', 29892240, 'carrier-a', 200, 'answered', '', 'pbx', 'outbound', 1, 0);
INSERT INTO public.writing VALUES (true, 4);
INSERT INTO public.written_ids VALUES ('6553f1006716af79c394a657a8c59893', 1793534403000000);
INSERT INTO public.written_ids VALUES ('6553f100376c27b482d10fd57e74c3c8', 1793534404000000);
INSERT INTO public.written_ids VALUES ('6553f100b80e14b6209a57af5d6efe61', 1793534405000000);
INSERT INTO public.written_ids VALUES ('6553f100aa6d53f853896e7efd01296c', 1793534406000000);
INSERT INTO public.written_ids VALUES ('6553f100bd718657a5846b5ae41be553', 1793534407000000);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkey PRIMARY KEY (version_num);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (call_id, seq, at_us);
ALTER TABLE ONLY public.attempts_2026_11
    ADD CONSTRAINT attempts_2026_11_pkey PRIMARY KEY (call_id, seq, at_us);
ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_at_us_id_key UNIQUE (at_us, id);
ALTER TABLE ONLY public.calls_2026_11
    ADD CONSTRAINT calls_2026_11_at_us_id_key UNIQUE (at_us, id);
ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY ("position", at_us);
ALTER TABLE ONLY public.calls_2026_11
    ADD CONSTRAINT calls_2026_11_pkey PRIMARY KEY ("position", at_us);
ALTER TABLE ONLY public.gaps
    ADD CONSTRAINT gaps_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.hour_pdd
    ADD CONSTRAINT hour_pdd_pkey PRIMARY KEY (hour, trunk, pdd, pbx);
ALTER TABLE ONLY public.hour_totals
    ADD CONSTRAINT hour_totals_pkey PRIMARY KEY (counted, hour, trunk, sip_code, disposition, outcome, pbx, direction);
ALTER TABLE ONLY public.listened
    ADD CONSTRAINT listened_pkey PRIMARY KEY (pbx);
ALTER TABLE ONLY public.minute_pdd
    ADD CONSTRAINT minute_pdd_pkey PRIMARY KEY (minute, trunk, pdd, pbx);
ALTER TABLE ONLY public.minute_totals
    ADD CONSTRAINT minute_totals_pkey PRIMARY KEY (counted, minute, sip_code, disposition, outcome, pbx);
ALTER TABLE ONLY public.open_calls
    ADD CONSTRAINT open_calls_pkey PRIMARY KEY (pbx, linkedid);
ALTER TABLE ONLY public.totals
    ADD CONSTRAINT totals_pkey PRIMARY KEY (counted, minute, trunk, sip_code, disposition, outcome, pbx, direction);
ALTER TABLE ONLY public.writing
    ADD CONSTRAINT writing_pkey PRIMARY KEY ("only");
ALTER TABLE ONLY public.written_ids
    ADD CONSTRAINT written_ids_pkey PRIMARY KEY (id);
CREATE INDEX ix_written_ids_at ON public.written_ids USING btree (at_us);
ALTER INDEX public.attempts_pkey ATTACH PARTITION public.attempts_2026_11_pkey;
ALTER INDEX public.calls_at_us_id_key ATTACH PARTITION public.calls_2026_11_at_us_id_key;
ALTER INDEX public.calls_pkey ATTACH PARTITION public.calls_2026_11_pkey;
ALTER TABLE public.attempts
    ADD CONSTRAINT attempts_at_us_call_id_fkey FOREIGN KEY (at_us, call_id) REFERENCES public.calls(at_us, id) ON DELETE CASCADE;
