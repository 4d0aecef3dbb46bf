-- Numbers that a reservation's request to pay names, before the payment's own stream begins: such a number is in use.
CREATE INDEX events_requested_number ON events (
    CASE WHEN json_valid(payload) THEN payload ->> '$.PaymentRequested.paymentNo' END
) WHERE event_type = 'PaymentRequested';
