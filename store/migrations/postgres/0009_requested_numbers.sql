-- Numbers that a reservation's request to pay names, before the payment's own stream begins: such a number is in use.
-- The text is searched instead of parsed, so that no payload, however damaged, can be refused by this index.
CREATE INDEX events_requested_number ON events (
    CAST(substring(CAST(payload AS text) FROM '"paymentNo" *: *([1-9][0-9]{0,14}) *[,}]') AS bigint)
) WHERE event_type = 'PaymentRequested';
